from __future__ import annotations

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from harness.engines.rendering import Renderer
from harness.types import Model
from tasks.types import Prompt
from tests.harness.engines import tiny

MODEL = Model("m", "1", "float32", think=("<think>", "</think>"))


@pytest.fixture(scope="module")
def byte_level() -> Renderer:
    return Renderer(MODEL, PreTrainedTokenizerFast(tokenizer_object=tiny.tokenizer(), eos_token="<|end|>"))


def sentencepiece_like() -> PreTrainedTokenizerFast:
    """Words begin with ▁, and decoding drops the first one."""
    pieces = ["<unk>", "</s>", "▁a", "▁stop", "s", "▁", "now", "▁here", "a"]
    words = Tokenizer(models.BPE({p: i for i, p in enumerate(pieces)}, [], unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Metaspace()
    words.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=words, eos_token="</s>", unk_token="<unk>")


def fed(renderer: Renderer, stops: tuple[str, ...], ids: list[int]) -> list[int | None]:
    finder = renderer.stops(stops)
    assert finder is not None
    return [finder.feed(i) for i in ids]


def test_stop_strings_over_several_tokens_and_characters_over_several_bytes(byte_level: Renderer) -> None:
    ids = list(byte_level.continuation("aé漢\n\nb"))
    assert len(ids) == 9
    assert fed(byte_level, ("\n\n",), ids) == [None] * 7 + [5, None]
    assert fed(byte_level, ("漢", "é漢"), ids)[5] == 3
    assert byte_level.stops(()) is None and byte_level.stops(("",)) is None


def test_of_several_stops_the_one_that_ends_first_wins() -> None:
    renderer = Renderer(MODEL, sentencepiece_like())
    assert fed(renderer, ("stops", "top", "p"), [3, 4]) == [5, None]  # " stop" holds "top" and "p", which end together
    assert fed(renderer, (" stops",), [2, 3, 4]) == [None, None, 8]


def test_word_initial_spaces_survive() -> None:
    renderer = Renderer(MODEL, sentencepiece_like())
    assert renderer.text([3, 7]) == " stop here"
    assert renderer.text([6, 7, 1]) == "now here"
    assert renderer.text([]) == ""


def test_special_tokens_are_left_out_and_half_characters_marked(byte_level: Renderer) -> None:
    ids = byte_level.continuation("x漢")
    assert byte_level.text([*ids, 1, 0, 3]) == "x漢"
    assert byte_level.text(ids[:-1]) == "x\ufffd"


def test_a_thought_that_the_template_opens_is_not_opened_twice() -> None:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tiny.tokenizer(), eos_token="<|end|>")
    tokenizer.chat_template = "{{ messages[0]['content'] }}{%- if add_generation_prompt -%}{{- '<|assistant|><think>\\n' -}}{%- endif -%}"
    renderer, asked = Renderer(MODEL, tokenizer), Prompt.chat("why")
    opened = "why<|assistant|><think>\n"
    plain = tokenizer(opened, add_special_tokens=False)["input_ids"]
    assert list(renderer.render(asked).ids) == list(renderer.render(asked.extend("<think>\n")).ids) == plain
    assert renderer.render(asked).thinking and renderer.render(asked.extend("<think>\n")).thinking
    over = renderer.render(asked.extend("<think>\nno\n</think>\n\n"))
    assert renderer.text(over.ids).count("<think>") == 1 and not over.thinking
    renderer.remember(asked.extend("<think>\n"), renderer.continuation("so"))
    assert renderer.text(renderer.render(asked.extend("<think>\nso")).ids).count("<think>") == 1


def test_think_markers_are_kept_even_where_they_are_special() -> None:
    words = tiny.tokenizer()
    words.add_special_tokens(["<think>", "</think>"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<|end|>")
    ids = [5, *Renderer(MODEL, tokenizer).continuation("x"), 6]
    assert Renderer(MODEL, tokenizer).text(ids) == "<think>x</think>"
    assert Renderer(Model("m", "1", "float32"), tokenizer).text(ids) == "x"
