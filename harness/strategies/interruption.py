"""A thought that is cut off: what the model answers after an interruption. For any model with think markers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from harness import prompts, thinking
from harness.cell import Cell
from harness.context import Context
from harness.strategies.voting import pooled_only
from harness.strategy import strategy
from harness.types import Answer

Fraction = Annotated[float, Field(gt=0, le=1)]


def _obstacle(cell: Cell) -> str | None:
    mode, name = cell.strategy.params["mode"], cell.task.name
    if live := pooled_only(cell):
        return live
    if mode == "update" and any(p.request != "update" for p in cell.problems):
        return f"interruption(mode=update) needs problems with an update; task {name} has none, {{kind: updated, base: arithmetic}} does"
    if mode != "update" and any(p.request == "update" for p in cell.problems):
        return f"task {name} is about an update, which interruption(mode={mode}) does not tell; interruption(mode=update) does"
    return None


@strategy(
    name="interruption",
    version=1,
    family="interruption",
    paper="arXiv:2510.11713",
    needs={"prefix", "thinking", "token_ids"},
    budget=1,
    pool="first stage",
    prompt="question",
    requests={"generate", "update"},
    obstacle=_obstacle,
)
async def interruption(ctx: Context, mode: Literal["hard", "extreme", "soft", "update"] = "hard", fraction: Fraction = 0.3) -> Answer:
    r"""The pool's chain of thought, its thinking cut at `fraction` of its tokens, resumed as an open answer. Scores: results.interruption.

    hard: the end marker, then the answer; extreme: that and the beginning of a final answer (with `\boxed{` where it is to be boxed);
    soft: a sentence that asks for speed, within the thinking; update: `meta["update"]`, likewise. A trace without thinking stays whole.
    From Wu et al. 2025: the modes, cuts by token, 0.3 as the point of their headline results (they ran 0.1, 0.3, 0.5, 0.7 and 0.9).
    Ours: the wording; no announcement in the system turn, so that the trace is that of `cot`; no sentence before the end marker.
    """
    ask, (begin, end), problem = ctx.compose(prompts.STEP_BY_STEP), ctx.think, ctx.problem
    cut = await ctx.one(ask, keep=lambda whole, first: thinking.part(whole, first, (begin, end), fraction))
    if not cut.usage.reasoning:
        return Answer.of(cut)
    box = "\\boxed{" if "\\boxed" in problem.answer_format else ""
    update = prompts.UPDATE.format(update=problem.meta["update"]) if mode == "update" else ""
    told = {"hard": end, "extreme": end + prompts.FINAL_ANSWER + box, "soft": prompts.SPEED_UP, "update": update}[mode]
    rest = await ctx.one(ask.extend(cut.text + told))
    return Answer(text=cut.text + told + rest.text, finish=rest.finish, samples=(rest,))
