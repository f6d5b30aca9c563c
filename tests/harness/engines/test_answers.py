from __future__ import annotations

import pytest
from transformers import PreTrainedTokenizerFast

from harness.engines.answers import Answers, Seam
from harness.engines.rendering import Renderer
from harness.types import Model
from tasks.types import Prompt
from tests.harness.engines import tiny
from tests.harness.engines.test_rendering import MODEL, sentencepiece_like

ASK = Prompt.chat("how much?")
END = tiny.SPECIALS.index("<|end|>")


@pytest.fixture
def renderer() -> Renderer:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tiny.tokenizer(), eos_token="<|end|>", pad_token="<|pad|>")
    tokenizer.chat_template = tiny.TEMPLATE
    return Renderer(MODEL, tokenizer)


def merging() -> Renderer:
    """`ab` is one token, which a model may as well write as two."""
    tokenizer = sentencepiece_like()
    tokenizer.chat_template = "{{ messages[0]['content'] }}"
    return Renderer(Model("m", "1", "float32"), tokenizer)


def test_generated_ids_stay_where_the_tokenizer_would_choose_others() -> None:
    text = merging()
    asked = Prompt.chat("a")
    before, generated = text.render(asked).ids, [4, 8, 4]  # s, a, s
    assert text.text(generated) == "sas"
    fresh = merging().render(asked.extend("sas")).ids
    text.remember(asked, [*generated, 1])
    assert text.render(asked.extend("sas")).ids == (*before, *generated)
    assert fresh != (*before, *generated)


def test_what_is_written_after_them_is_tokenised_alone_and_keeps_its_text() -> None:
    text = merging()
    asked = Prompt.chat("a")
    text.remember(asked, [2, 3])
    longer = asked.extend(" a stop").extend("now")
    ids = text.render(longer).ids
    assert ids[: len(ids) - 1] == (*text.render(asked).ids, 2, 3) and ids[-1] == 6
    assert text.text(ids[-3:]) == " a stopnow"


def test_answers_grow_step_by_step(renderer: Renderer) -> None:
    one, two = renderer.continuation("first\n\n"), renderer.continuation("second")
    renderer.remember(ASK, one)
    longer = ASK.extend("first\n\n")
    renderer.remember(longer, [*two, END])
    assert renderer.render(longer.extend("second")).ids == (*renderer.render(ASK).ids, *one, *two)
    assert renderer.render(longer.extend("second")).thinking is False
    renderer.remember(longer, renderer.continuation("<think>x"))
    assert renderer.render(longer.extend("<think>x")).thinking is True


def test_the_beginning_of_an_answer_has_its_first_tokens(renderer: Renderer) -> None:
    """As where `watch` cut a stored trace, and where a stop string ended within the last token."""
    ids = renderer.continuation("aé漢b")
    answers = Answers(renderer.text, frozenset({END}))
    answers.add(ASK, ids)
    assert answers.seam(ASK.extend("aé")) == Seam(ASK, ids[:3], "")
    assert answers.seam(ASK.extend("aé漢b and more")) == Seam(ASK, ids, " and more")
    assert answers.seam(ASK.extend("aé漢b")) == Seam(ASK, ids, "")
    assert answers.seam(ASK.extend("aX")) is None and answers.seam(Prompt.chat("other").extend("a")) is None


def test_a_stop_string_inside_the_last_token() -> None:
    text = merging()
    asked = Prompt.chat("a")
    text.remember(asked, [2, 3])  # " a stop", of which " a s" was kept
    assert text.render(asked.extend(" a s")).ids[: len(text.render(asked).ids) + 1] == (*text.render(asked).ids, 2)
    assert text.text(text.render(asked.extend(" a s")).ids[len(text.render(asked).ids) :]) == " a s"


def test_the_oldest_answers_go_first(renderer: Renderer) -> None:
    answers = Answers(renderer.text, frozenset({END}), most=10)
    for word in ("one", "two", "three"):
        answers.add(Prompt.chat(word), renderer.continuation(word))
    assert answers.seam(Prompt.chat("one").extend("one")) is None
    assert answers.seam(Prompt.chat("two").extend("two")) is not None and answers.seam(Prompt.chat("three").extend("three")) is not None
    answers.add(ASK, [END])
    assert answers.seam(ASK.extend("x")) is None
