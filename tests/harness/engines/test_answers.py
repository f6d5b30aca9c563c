from __future__ import annotations

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from harness.engines.answers import Answers, Seam
from harness.engines.rendering import Renderer
from harness.types import Model
from tasks.types import Prompt
from tests.harness.engines import tiny
from tests.harness.engines.test_rendering import MODEL

ASK = Prompt.chat("how much?")
RAW = Prompt(raw="how much?")
END = tiny.SPECIALS.index("<|end|>")


@pytest.fixture
def renderer() -> Renderer:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tiny.tokenizer(), eos_token="<|end|>", pad_token="<|pad|>")
    tokenizer.chat_template = tiny.TEMPLATE
    return Renderer(MODEL, tokenizer)


def merging() -> Renderer:
    """`ab` is one token, which a model may as well write as two; every text begins with ▁."""
    pieces = ["<unk>", "</s>", "a", "b", "ab", "▁", "\n"]
    words = Tokenizer(models.BPE({p: i for i, p in enumerate(pieces)}, [("a", "b")], unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Metaspace()
    words.decoder = decoders.Metaspace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="</s>", unk_token="<unk>")
    tokenizer.chat_template = "{{ messages[0]['content'] }}"
    return Renderer(Model("m", "1", "float32"), tokenizer)


def test_generated_ids_stay_where_the_tokenizer_would_choose_others() -> None:
    asked, text = Prompt.chat("a"), merging()
    assert merging().render(asked.extend("bab")).ids == (5, 4, 4)  # over the seam, and inside the answer
    text.remember(asked, [3, 2, 3, 1])
    assert text.render(asked).ids == (5, 2)
    assert text.render(asked.extend("bab")).ids == (5, 2, 3, 2, 3)


def test_what_is_written_after_them_is_tokenised_alone_and_keeps_its_text() -> None:
    asked, text = Prompt.chat("a"), merging()
    text.remember(asked, [3, 2])
    assert text.render(asked.extend("ba").extend("b ab")).ids == (5, 2, 3, 2, 3, 5, 4)


def test_a_stop_string_may_end_within_the_last_token() -> None:
    asked, text = Prompt.chat("a"), merging()
    text.remember(asked, [3, 4])  # "bab", of which "ba" was kept
    assert text.render(asked.extend("ba")).ids == (5, 2, 3, 2)


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
    """As where `watch` cut a stored trace. Of a token without text before the cut nobody knows."""
    ids = renderer.continuation("aé漢b")
    answers = Answers(renderer.text, frozenset({END}))
    answers.add(ASK, ids)
    assert answers.seam(ASK.extend("aé")) == Seam(ASK, ids[:3], "")
    assert answers.seam(ASK.extend("aé漢b and more")) == Seam(ASK, ids, " and more")
    assert answers.seam(ASK.extend("aé漢b")) == Seam(ASK, ids, "")
    answers.add(RAW, [*ids[:1], END, *ids[1:]])
    assert answers.seam(RAW.extend("a")) == Seam(RAW, ids[:1], "") and answers.seam(RAW.extend("aé")) == Seam(
        RAW, (ids[0], END, *ids[1:3]), ""
    )
    assert answers.seam(ASK.extend("aX")) is None and answers.seam(Prompt.chat("other").extend("a")) is None


def test_the_oldest_answers_go_first(renderer: Renderer) -> None:
    answers = Answers(renderer.text, frozenset({END}), most=10)
    for word in ("one", "two", "three"):
        answers.add(Prompt.chat(word), renderer.continuation(word))
    assert answers.seam(Prompt.chat("one").extend("one")) is None
    assert answers.seam(Prompt.chat("two").extend("two")) is not None and answers.seam(Prompt.chat("three").extend("three")) is not None
    answers.add(ASK, [END])
    assert answers.seam(ASK.extend("x")) is None
