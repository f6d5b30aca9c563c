"""How a question and its steps become the tokens that a reward model reads, and where in them its verdicts stand.

The formats are data (`harness/data/rewards.yaml`); here are the five layouts that they are made of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from harness.types import Model
from perpass.errors import PerPassError, UserError, unknown


@dataclass(frozen=True)
class Format:
    """One way to ask; the fields are those of the data file, empty where its layout does not need them."""

    name: str
    source: str
    layout: str
    separator: str
    models: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    ask: str = ""
    system: str = ""
    mark: str = ""
    first: str = ""
    step: str = ""
    numbered: str = ""
    tag: str = ""
    good: str = ""
    bad: str = ""
    scale: float = 0.0
    shift: float = 0.0

    @property
    def likelihood(self) -> bool:
        """Its verdicts are made from the log-probabilities of the answer's tokens."""
        return self.layout == "lines"

    @property
    def outcome(self) -> bool:
        """It judges whole answers: the verdict is on the last step, and the others have none."""
        return self.layout == "whole"


@dataclass(frozen=True)
class Asked:
    """What the model reads, and the places in it where the verdicts on `steps` stand: one each, or one for the last alone.

    `begin`: where an answer begins whose tokens are all looked at; 0 where the model is read at the places alone.
    """

    ids: tuple[int, ...]
    places: tuple[int, ...]
    begin: int = 0

    @property
    def read(self) -> int:
        """At how many tokens the model's output is read."""
        return len(self.ids) - self.begin if self.begin else len(self.places)


@cache
def formats() -> dict[str, Format]:
    """All formats by name."""
    rows = yaml.safe_load(files("harness").joinpath("data/rewards.yaml").read_text(encoding="utf-8"))["formats"]
    found = {}
    for name, row in rows.items():
        fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
        found[name] = Format(name=name, **fields)
    return found


def find(model: Model, asked: str | None = None) -> Format:
    """The format named, or else the one of this model by its name or its architecture. Raises UserError where that says nothing."""
    chosen = _named(model, asked)
    if not chosen.likelihood:
        return chosen
    given = (model.config or {}).get("reward") or {}
    if not isinstance(given.get("scale"), (int, float)) or not isinstance(given.get("shift"), (int, float)):
        raise UserError(f"reward: format {chosen.name} needs `reward` with scale and shift in the config.json of model {model.name!r}")
    return replace(chosen, scale=float(given["scale"]), shift=float(given["shift"]))


def _named(model: Model, asked: str | None) -> Format:
    known = formats()
    if asked is not None:
        if asked not in known:
            raise unknown("format", asked, known, "reward")
        return known[asked]
    own = set((model.config or {}).get("architectures") or ())
    for found in known.values():
        if model.name in found.models:
            return found
    for found in known.values():
        if own & set(found.architectures):
            return found
    raise UserError(f"reward: how model {model.name!r} is asked is not known; give a format, one of {', '.join(known)}")


def ask(chosen: Format, tokenizer: Any, question: str, steps: Sequence[str]) -> Asked:
    """The tokens of a question with its steps. Raises UserError where the tokenizer does not fit the format.

    Whitespace around a step belongs to the separator that it was cut at, not to the step.
    """
    return LAYOUTS[chosen.layout](chosen, tokenizer, question, [step.strip() for step in steps])


def choice(chosen: Format, tokenizer: Any) -> tuple[int, int] | None:
    """The ids of `good` and `bad` where verdicts are a choice between two tokens; None where the model has labels."""
    if not chosen.good:
        return None
    if chosen.layout == "tags":  # as two words of one text, which is how the model met them
        ids = _plain(tokenizer, f"{chosen.good} {chosen.bad}")
    else:
        ids = [_plain(tokenizer, text)[-1] for text in (chosen.good, chosen.bad)]
    if len(ids) != 2 or ids[0] == ids[1]:
        raise UserError(f"reward: {chosen.good!r} and {chosen.bad!r} are not one token each here, which the format {chosen.name} needs")
    return ids[0], ids[1]


def _lines(chosen: Format, tokenizer: Any, question: str, steps: Sequence[str]) -> Asked:
    """Each step is tokenised alone, so that a verdict never depends on what follows."""
    ids = _conversation(tokenizer, [("user", chosen.ask.format(question=question))], opened=True)
    begin, end, places = len(ids), _plain(tokenizer, chosen.separator), []
    if len(end) != 1:
        raise UserError(f"reward: {chosen.separator!r} is not one token here, which the format {chosen.name} needs")
    for step in steps:
        ids += [*_plain(tokenizer, step), *end]
        places.append(len(ids) - 1)
    return Asked(tuple(ids), tuple(places), begin)


def _marks(chosen: Format, tokenizer: Any, question: str, steps: Sequence[str]) -> Asked:
    answer = "".join(step + chosen.mark for step in steps)
    ids = _conversation(tokenizer, [("system", chosen.system), ("user", question), ("assistant", answer)])
    return _at(ids, tokenizer.convert_tokens_to_ids(chosen.mark), steps, chosen, chosen.mark)


def _tags(chosen: Format, tokenizer: Any, question: str, steps: Sequence[str]) -> Asked:
    bare = [re.sub(f"^{chosen.numbered}", "", step) for step in steps]
    lines = (chosen.step.format(number=number, step=step) for number, step in enumerate(bare, 1))
    ids = list(tokenizer(f"{question} {chosen.separator.join(lines)}")["input_ids"])
    return _at(ids, _plain(tokenizer, chosen.tag)[-1], steps, chosen, chosen.tag)


def _at(ids: Sequence[int], token: int | None, steps: Sequence[str], chosen: Format, name: str) -> Asked:
    """Where `token` stands: once per step, or it is no token of its own here, or question or steps contain it."""
    places = tuple(place for place, found in enumerate(ids) if found == token)
    if len(places) != len(steps):
        raise PerPassError(f"reward: {name!r} of the format {chosen.name} stands {len(places)} times in a text of {len(steps)} steps")
    return Asked(tuple(ids), places)


def _turns(chosen: Format, tokenizer: Any, question: str, steps: Sequence[str]) -> Asked:
    """The verdict on a step stands on the token before its `good`, where the model chooses."""
    good = _plain(tokenizer, chosen.good)[-1]
    turns: list[tuple[str, str]] = []
    ids: list[int] = []
    places = []
    for number, step in enumerate(steps):
        turns += [("user", chosen.first.format(question=question, step=step) if number == 0 else step), ("assistant", chosen.good)]
        begun, ids = len(ids), _conversation(tokenizer, turns)
        places.append(max((place for place in range(begun, len(ids)) if ids[place] == good), default=0) - 1)
    if any(place < 0 or ids[place + 1] != good for place in places):
        raise UserError(f"reward: {chosen.good!r} is no token of its own here, which the format {chosen.name} needs")
    return Asked(tuple(ids), tuple(places))


def _whole(chosen: Format, tokenizer: Any, question: str, steps: Sequence[str]) -> Asked:
    ids = _conversation(tokenizer, [("user", question), ("assistant", chosen.separator.join(steps))])
    return Asked(tuple(ids), (len(ids) - 1,))


LAYOUTS: Mapping[str, Callable[[Format, Any, str, Sequence[str]], Asked]] = {
    "lines": _lines,
    "marks": _marks,
    "turns": _turns,
    "tags": _tags,
    "whole": _whole,
}


def _plain(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _conversation(tokenizer: Any, turns: Sequence[tuple[str, str]], opened: bool = False) -> list[int]:
    """Turns by the model's chat template; `opened`: with the beginning of an answer behind them."""
    if not tokenizer.chat_template:
        raise UserError("reward: the model has no chat template, which its format needs")
    conversation = [{"role": role, "content": content} for role, content in turns]
    text = tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=opened)
    return _plain(tokenizer, text)
