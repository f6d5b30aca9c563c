"""Interruptions: where the thought is cut, what resumes it, what is shared, what is charged, and the scores of a whole run."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import prompts, thinking
from harness.attempt import answer, ledger
from harness.context import Made, Services
from harness.events import Options
from harness.runner import run
from harness.strategy import strategies
from harness.testing import ScriptedEngine, attempt_alone, empty_pools
from harness.types import Model, Sample, Sampling, Timing, Usage
from perpass.errors import UserError
from results import interruption, interruption_text
from results.database import open_database
from results.store import Store
from tasks.types import Problem, Prompt
from tests.harness.digits import Digits, cell, place

THINK = ("<think>", "</think>")
MODEL = Model("scripted", "1", "none", context=100_000, think=THINK)
THOUGHT = "0123456789" * 4


def whole_trace(prompt: Prompt, sampling: Sampling, seed: int) -> str:
    """A thought of 40 tokens and the digit that was asked for; after an interruption an answer that shows the seed."""
    digit = prompt.turns[-1].content.partition("?")[0][-1]
    if not prompt.prefix:
        return f"<think>{THOUGHT}</think>\\boxed{{{digit}}}"
    return f"{'' if '</think>' in prompt.prefix else 'ab</think>'}{seed} \\boxed{{{digit}}}"


def engine(**settings: Any) -> ScriptedEngine:
    return ScriptedEngine(MODEL, **({"script": whole_trace} | settings))


def attempt(on: ScriptedEngine, problem: int = 0, sampling: Any = None, **params: Any) -> Any:
    c = cell("interruption", place(on), sampling=sampling, **params)
    return asyncio.run(attempt_alone(c, c.problems[problem]))[0].answered


@pytest.mark.parametrize(("fraction", "kept"), [(0.01, 1), (0.3, 12), (0.5, 20), (0.99, 40), (1, 40)])
@pytest.mark.parametrize("mode", ["hard", "extreme", "soft"])
def test_the_thought_is_cut_at_a_share_of_its_tokens(fraction: float, kept: int, mode: str) -> None:
    done = attempt(engine(), mode=mode, fraction=fraction)
    first, second = done.calls
    cut, told = "<think>" + THOUGHT[:kept], {"hard": "</think>", "extreme": "</think>" + prompts.FINAL_ANSWER, "soft": prompts.SPEED_UP}
    assert (first.kept.text, first.made.text) == (cut, f"<think>{THOUGHT}</think>\\boxed{{0}}")
    assert second.prompt.prefix == cut + told[mode]
    assert done.answer.text == cut + told[mode] + second.kept.text and done.answer.finish == "eos"
    assert done.answer.items is None and [s.key for s in done.answer.samples] == [second.key]


def test_cut_at_its_end_a_hard_interruption_is_the_whole_trace_up_to_its_answer() -> None:
    done = attempt(engine(), fraction=1)
    whole = done.calls[0].made.text
    assert done.calls[1].prompt.prefix == whole.partition("</think>")[0] + "</think>"
    assert whole.startswith(done.calls[1].prompt.prefix)


def test_what_is_charged_is_what_was_kept() -> None:
    for sampling in (None, {"temperature": 0.0}):  # from the pool, and the attempt's own
        done = attempt(engine(), fraction=0.5, sampling=sampling)
        first, second = (call.kept.usage for call in done.calls)
        assert (first.output, first.reasoning, done.calls[0].made.usage.output) == (27, 27, 65)
        (usage, _) = next(iter(ledger(done).values()))
        assert (usage.output, usage.calls) == (first.output + second.output, 2) and done.serial_tokens == usage.output


def test_all_modes_and_fractions_share_one_trace_with_cot() -> None:
    here, task = place(engine(latency=(0, 0.002))), Digits()
    grid = [cell("interruption", here, task, mode=m, fraction=f) for m in ("hard", "soft") for f in (0.25, 0.5)]

    async def everything() -> list[Made]:
        made: list[Made] = []
        services = Services("main", empty_pools(), made.append)
        await asyncio.gather(*(answer(c, p, 0, services) for c in [*grid, cell("cot", here, task)] for p in task.problems()))
        return made

    made = asyncio.run(everything())
    assert sum(not m.prompt.prefix for m in made) == 6 and len(made) == 6 * (1 + len(grid))
    assert all(m.pool for m in made)


def test_a_trace_without_thinking_stays_whole_and_an_unfinished_thought_is_cut() -> None:
    silent = attempt(engine(script=lambda *_: "at once \\boxed{0}"), mode="soft")
    assert [call.kept.text for call in silent.calls] == [silent.answer.text] == ["at once \\boxed{0}"]
    endless = attempt(engine(), sampling={"max_tokens": 27}, fraction=0.5)
    assert endless.calls[0].made.finish == "length" and endless.calls[0].kept.text == "<think>" + THOUGHT[:10]
    assert endless.calls[1].prompt.prefix.endswith(THOUGHT[:10] + "</think>")


def test_an_update_is_told_within_the_thought_and_a_box_is_begun_only_where_one_is_asked_for() -> None:
    class News(Digits):
        def problems(self) -> list[Problem]:
            told = {"answer_format": "Use \\boxed{}.", "meta": {"update": "it is 7 now."}}
            return [replace(p, **told, request="update") for p in super().problems()]

    c = cell("interruption", place(engine()), News(), mode="update", fraction=0.5)
    done = asyncio.run(attempt_alone(c, c.problems[0]))[0].answered
    assert done.calls[1].prompt.prefix == "<think>" + THOUGHT[:20] + prompts.UPDATE.format(update="it is 7 now.")
    forced = cell("interruption", place(engine()), News(), mode="extreme")
    done = asyncio.run(attempt_alone(forced, forced.problems[0]))[0].answered
    assert done.calls[1].prompt.prefix.endswith("</think>\n\n**Final Answer**\n\\boxed{")


def test_what_cannot_be_interrupted_is_said_beforehand() -> None:
    def obstacle(interrupted: str, request: str = "generate", **changes: Any) -> str | None:
        made = replace(cell("interruption", place(engine()), Digits(request=request), mode=interrupted), **changes)
        return made.strategy.strategy.obstacle(made)  # type: ignore[misc]

    assert obstacle("hard") is obstacle("update", "update") is None
    assert obstacle("update") == (
        "interruption(mode=update) needs problems with an update; task digits has none, {kind: updated, base: arithmetic} does"
    )
    assert "which interruption(mode=soft) does not tell" in str(obstacle("soft", "update"))
    assert "run it pooled" in str(obstacle("hard", mode="live"))
    assert cell("interruption", place(ScriptedEngine())).lacking == ["thinking"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"fraction": 0.0}, "fraction=0.0: input should be greater than 0"),
        ({"fraction": 1.5}, "fraction=1.5: input should be less than or equal to 1"),
        ({"mode": "sudden"}, "mode='sudden': input should be 'hard', 'extreme', 'soft' or 'update'"),
    ],
)
def test_bad_parameters_are_one_sentence(params: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"^strategy interruption: {message}$"):
        strategies.get("interruption").bind(params, Sampling(), {})


PIECES = ("a", "bc", "<think>", "é", "\n", "</", "think", ">", "")


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=12), st.lists(st.sampled_from(PIECES), max_size=3), st.floats(0.01, 1))
def test_a_part_ends_before_the_end_marker_and_grows_with_the_fraction(thought: list[str], rest: list[str], fraction: float) -> None:
    """Tokens of several characters, markers of several tokens, hidden tokens without text."""
    pieces = ["<think>", *thought, "</", "think", ">", *rest]

    def first(n: int) -> Sample:
        return Sample("".join(pieces[:n]), tuple(range(n)), "eos", Usage(output=n, reasoning=n), Timing(0, 0, 0))

    whole = first(len(pieces))
    cut, all_of_it = (thinking.part(whole, first, THINK, x) for x in (fraction, 1))
    end = whole.text.find("</think>")
    assert len(cut.token_ids) <= len(all_of_it.token_ids) and len(all_of_it.text) <= end
    assert whole.text.startswith(cut.text) and "</think>" not in cut.text
    missing = whole.text[len(all_of_it.text) : end]  # less than a token: it reaches into the marker
    assert missing == "" or any(piece.startswith(missing) and len(piece) > len(missing) for piece in PIECES)


def test_a_cut_within_a_character_falls_back() -> None:
    data = "<think>ééé</think>x".encode()

    def first(n: int) -> Sample:
        return Sample(data[:n].decode(errors="replace"), tuple(data[:n]), "eos", Usage(reasoning=n), Timing(0, 0, 0))

    texts = {thinking.part(first(len(data)), first, THINK, x).text for x in (0.17, 0.34, 0.5, 0.67, 0.84, 1)}
    assert texts == {"<think>", "<think>é", "<think>éé", "<think>ééé"}


def test_the_scores_of_a_whole_run(tmp_path: Path) -> None:
    def script(prompt: Prompt, sampling: Sampling, seed: int) -> str:
        """Right when left alone; it goes on in the answer after a hard interruption, and panics where the question is odd."""
        digit = int(prompt.turns[-1].content.partition("?")[0][-1])
        if not prompt.prefix:
            return f"<think>{3 * THOUGHT}</think>\\boxed{{{digit}}}"
        if "</think>" in prompt.prefix:
            return "and so on " * 5 + f"\\boxed{{{digit}}}"
        return "</think>\\boxed{9}" if digit % 2 else THOUGHT + f"</think>\\boxed{{{digit}}}"

    here, task = place(engine(script=script)), Digits()
    cells = [cell("interruption", here, task, mode=mode, fraction=0.01) for mode in ("hard", "soft")]
    made = []
    for beside in ([], [cell("cot", here, task)]):
        db = open_database(f"sqlite:///{tmp_path}/a.db", create=True)
        asyncio.run(
            run([*cells, *beside], Store(db), name="t", text="", argv=[], series="main", options=Options(backoff_s=0.0, window_s=0.2))
        )
        made.append(interruption.rows(db))
        db.dispose()
    alone, (hard, soft) = made
    assert {row["reasons"]["whole_accuracy"] for row in alone} == {alone[1]["reasons"]["panic"]} == {"whole_not_judged"}
    assert (hard["interruption"], hard["accuracy"], hard["whole_accuracy"], hard["interrupted"]) == ("hard", 1.0, 1.0, 6)
    assert hard["leakage"] == pytest.approx(60 / 10) and hard["leaked"] == 1.0
    assert hard["panic"] is None and hard["reasons"]["panic"] == "other_mode"
    assert (soft["accuracy"], soft["leakage"], soft["leaked"]) == (0.5, 1.0, 0.0)
    assert soft["panic"] == 0.5 and soft["panic_low"] < 0.5 < soft["panic_high"]
    shown = interruption_text.lines([hard, soft])
    assert [line["mode"] for line in shown] == ["hard", "soft"] and "self-doubt %" not in shown[0] and shown[0]["panic %"] == "–"
    assert shown[1]["panic %"].startswith("50.0 (")
