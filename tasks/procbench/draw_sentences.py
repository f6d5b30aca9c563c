"""The procedures on sentences, on sentences of our own: a small grammar, no third-party text.

As in the official problems a sentence has no punctuation, begins with a capital, and may have numbers in digits.
"""

from __future__ import annotations

import random
import string

from tasks.procbench.drawn import Drawn, procedure


def _words(text: str) -> list[str]:
    return text.split()


_OWNERS = _words("the a this that every one her his our their my your")
_QUALITIES = _words("old small quiet yellow heavy broken early northern wooden famous narrow clever dusty Danish empty painted")
_PEOPLE = _words("gardener teacher pilot nurse baker judge sailor Zoe Quentin Victor uncle farmer clerk girl boy neighbour")
_ACTS = _words("carries paints repairs sells follows describes borrows finds washes forgets moves keeps counts visits draws opens")
_THINGS = _words("box jacket bridge letter violin kettle ladder map basket clock engine lamp bicycle quilt fox apple")
_PLACES = _words("behind near inside beyond above under across from")
_SITES = _words("harbour market station valley museum kitchen library island orchard village tower square")
_TIMES = _words("today again twice often slowly yesterday now alone")
_LINKS = _words("and while because but before although when so")


def sentence(rng: random.Random, words: int) -> list[str]:
    """The words of a sentence of at least so many words."""
    found: list[str] = []
    while len(found) < words:
        if found:
            found.append(rng.choice(_LINKS))
        found += [rng.choice(_OWNERS), rng.choice(_QUALITIES), rng.choice(_PEOPLE), rng.choice(_ACTS)]
        number = rng.random() < 0.3
        found += [str(rng.randint(2, 400)) if number else rng.choice(_OWNERS), rng.choice(_THINGS) + ("s" if number else "")]
        if rng.random() < 0.6:
            found += [rng.choice(_PLACES), "the", rng.choice(_SITES)]
        if rng.random() < 0.4:
            found.append(rng.choice(_TIMES))
    return [found[0].capitalize(), *found[1:]]


@procedure(14, "Add the letters of each word to 26 counts, a to z.")
def count2(rng: random.Random, steps: int) -> Drawn:
    """Count letters word by word. The words are those of a sentence in any order, each once, as in the official problems."""
    words = _different(rng, steps)
    rng.shuffle(words)
    counts, states = [0] * 26, []
    for word in words[:steps]:
        for letter in word:
            if letter in string.ascii_letters:
                counts[ord(letter.lower()) - ord("a")] += 1
        states.append(list(counts))
    return Drawn("Count2", f"Sentence:\n{' '.join(words[:steps])}", [0] * 26, tuple(states))


@procedure(18, "Replace the numbers in brackets by their words, in the order of the list.")
def fill_word(rng: random.Random, steps: int) -> Drawn:
    """Fill the gaps of a sentence, which are numbered at random."""
    words = sentence(rng, steps + rng.randrange(8))
    places = rng.sample(range(len(words)), steps)
    shown = list(words)
    for number, place in enumerate(places, 1):
        shown[place] = f"[{number}]"
    start, states = " ".join(shown), []
    for place in places:
        shown[place] = words[place]
        states.append(" ".join(shown))
    pairs = ", ".join(f"({number}, {words[place]})" for number, place in enumerate(places, 1))
    doing = tuple(f"{number}, {words[place]}:" for number, place in enumerate(places, 1))
    return Drawn("FillWord", f"Sentence:\n{start}\nList:\n[{pairs}]", start, tuple(states), doing)


@procedure(20, "Remove the words from the sentence, each where it comes first.")
def delete_word(rng: random.Random, steps: int) -> Drawn:
    """Remove words from a sentence; words that it has more than once go where they come first."""
    words = sentence(rng, steps + rng.randint(1, 8))
    while len(set(words)) <= steps:
        words = sentence(rng, len(words) + 1)
    first = {word: place for place, word in reversed(list(enumerate(words)))}
    removed, left, states = rng.sample(sorted(first), steps), dict(enumerate(words)), []
    for word in removed:
        del left[first[word]]
        states.append(" ".join(left.values()))
    start, doing = " ".join(words), tuple(f"{word}:" for word in removed)
    return Drawn("DeleteWord", f"Sentence:\n{start}\nWords: [{', '.join(removed)}]\n", start, tuple(states), doing)


def _different(rng: random.Random, count: int) -> list[str]:
    """At least so many different words of one sentence, in its order."""
    words = list(dict.fromkeys(sentence(rng, count)))
    while len(words) < count:
        words = list(dict.fromkeys(sentence(rng, count + 10)))
    return words
