"""Token budgets that strategies state: how much of them was used, and the overshoot. Of cells whose strategy has one of PARAMETERS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from results import frames, report
from results.database import Db, as_engine
from results.matching import concurrency
from results.reasons import words
from results.wording import MISSING, listed

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]

KIND = "budget"
PARAMETERS = {"max_thinking": "reasoning", "max_output": "output"}
"""A strategy's parameter that states a budget in tokens, and the count of the policy's ledger that it is about."""
NAMES = ("cell", "series", "task", "model", "engine", "hardware", "strategy", "mode", "concurrency")
SCORES = ("used_tokens", "overshoot_tokens", "most_over_tokens", "over_share")
FIELDS = (*NAMES, "budget", "counted", "attempts", *SCORES, "reasons")
NO_ATTEMPTS, NOT_COUNTED = "no_attempts", "reasoning_not_counted"


def stated(strategy: Mapping[str, Any]) -> tuple[int, str] | None:
    """The budget in tokens that a strategy (its identity) states, and what it is about; None for one that states none."""
    params = strategy.get("params") or {}
    return next(((int(params[name]), counted) for name, counted in PARAMETERS.items() if params.get(name)), None)


def used(ledger: Sequence[Mapping[str, Any]], counted: str) -> int:
    """The policy's tokens of that count in an attempt's ledger."""
    return sum(int(entry[counted]) for entry in ledger if entry["role"] == "policy")


def unknown(engine: Mapping[str, Any], counted: str, total: int) -> bool:
    """Whether 0 says nothing: a server that counts no reasoning, and no tokenizer here that could (see the engine `openai`)."""
    return counted == "reasoning" and total == 0 and engine.get("kind") == "openai" and not engine.get("settings", {}).get("tokenizer")


def rows(
    db: Db, *, experiment: str | None = None, series: str | None = None, task: str | None = None, cells: pd.DataFrame | None = None
) -> list[Row]:
    """One row per cell that states a budget among what the report shows (`results.report.select`; or among `cells`), with FIELDS.

    used_tokens       mean per attempt; of what: `counted`, reasoning or output tokens of the policy
    overshoot_tokens  mean per attempt of what goes above the budget, 0 where nothing does; `most_over_tokens`: the largest
    over_share        the share of attempts above the budget
    Infrastructure errors are left out. What is None has a code in `reasons`.
    """
    engine = as_engine(db)
    try:
        chosen = report.select(engine, experiment=experiment, series=series, task=task) if cells is None else cells
        chosen = chosen[[stated(identity) is not None for identity in chosen["strategy_identity"]]]
        if chosen.empty:
            return []
        asked = report.asked(engine, chosen, experiment)
        ran = asked[(asked["items"] > 0) & ~asked["failed"] & (asked["error"] == 0)]
        ledger = frames.ledger(engine, cell_ids=[int(n) for n in chosen["id"]])
        return [_row(cell, ran[ran["cell_id"] == cell["id"]]["attempt"], ledger) for cell in chosen.to_dict("records")]
    finally:
        if engine is not db:
            engine.dispose()


def _row(cell: Mapping[Any, Any], attempts: pd.Series, ledger: pd.DataFrame) -> Row:
    budget, counted = stated(cell["strategy_identity"]) or (0, "")
    policy = ledger[ledger["role"] == "policy"].groupby("attempt")[counted].sum()
    spent = policy.reindex(attempts, fill_value=0)  # an attempt whose prompt was too long used nothing
    row: Row = dict.fromkeys(FIELDS) | {name: cell[name] for name in NAMES} | {"concurrency": concurrency(cell)}
    row |= {"budget": budget, "counted": counted, "attempts": len(spent), "reasons": {}}
    if not len(spent) or unknown(cell["engine_identity"], counted, int(spent.sum())):
        return row | {"reasons": dict.fromkeys(SCORES, NOT_COUNTED if len(spent) else NO_ATTEMPTS)}
    over = (spent - budget).clip(lower=0)
    values = (float(spent.mean()), float(over.mean()), int(over.max()), float((over > 0).mean()))
    return row | dict(zip(SCORES, values, strict=True))


# --- in words ---------------------------------------------------------------------------------------------------------------------------


def said(budget: int, counted: str, tokens: int | None) -> str:
    """`budget of 64 reasoning tokens: 70 used, 6 above it`."""
    if tokens is None:
        return f"budget of {budget:,} {counted} tokens: what was used is not known, {words(NOT_COUNTED)}"
    return f"budget of {budget:,} {counted} tokens: {tokens:,} used, " + (
        f"{tokens - budget:,} above it" if tokens > budget else "none above it"
    )


def lines(made: Sequence[Row]) -> list[dict[str, str]]:
    """A line per row, with the names that tell it from the others."""
    differ = [name for name in NAMES[1:] if name == "strategy" or len({str(row[name]) for row in made}) > 1]
    return [
        {name: MISSING if row[name] is None else str(row[name]) for name in differ}
        | {"budget": f"{row['budget']:,} {row['counted']}", "attempts": f"{row['attempts']:,}"}
        | {"used": _number(row["used_tokens"]), "above %": _number(row["over_share"], 100)}
        | {"overshoot": _number(row["overshoot_tokens"]), "most": _number(row["most_over_tokens"])}
        for row in made
    ]


def _number(value: float | None, scale: int = 1) -> str:
    return MISSING if value is None else f"{scale * value:,.1f}".removesuffix(".0")


def notes(made: Sequence[Row]) -> list[str]:
    """What the columns mean, and why something is missing."""
    found = [
        "budget: tokens that the strategy may use, or tells the model to use at most. used: mean per attempt, charged; above: the share of "
        "attempts that used more; overshoot: how many more, mean per attempt, 0 where none; most: the largest."
    ]
    why: dict[str, list[str]] = {}
    for row in made:
        if row["used_tokens"] is None:
            why.setdefault(row["reasons"]["used_tokens"], []).append(row["strategy"])
    return found + [f"{MISSING} used of {listed(list(dict.fromkeys(own)))} ({code}): {words(code)}." for code, own in why.items()]
