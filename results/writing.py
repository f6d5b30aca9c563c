"""Writing a batch: idempotent, in bulk, inside the caller's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import sqlalchemy as sa

from perpass.errors import PerPassError
from perpass.identity import canonical
from results import bulk, memories, schema, texts
from results.bulk import chunks, on_new
from results.reading import PLAIN, TEXTS
from results.records import AttemptRecord, PowerRecord, SampleRecord, WindowRecord
from results.texts import Piece
from tasks.types import Outcome

_SAMPLE: Any = schema.Sample.__table__
_ATTEMPT: Any = schema.Attempt.__table__
_JUDGEMENT: Any = schema.Judgement.__table__
_LEDGER: Any = schema.Ledger.__table__
_USE: Any = schema.AttemptSample.__table__
_SCORE: Any = schema.RewardScore.__table__
_WINDOW: Any = schema.Window.__table__
_POWER: Any = schema.Power.__table__
_CELL: Any = schema.Cell.__table__

KINDS = {"prompt": "text", "text": "text", "token_ids": "int32", "logprobs": "float32", "confidence": "float32", "chunks": "float32"}
OWN = ("cell_id", "problem_id", "trial", "run_id", "finish", "error", "serial_tokens", "latency_s", "ttft_s", "started", "ended")
COUNTERS = ("problems", "attempts", "items", "correct", "errors")

OUTCOMES = [str(o) for o in Outcome]
_PLAIN_OF, _OWN_OF = attrgetter(*PLAIN), attrgetter(*OWN)

Place = tuple[int, int, int]  # (cell, problem, trial)


class Written(NamedTuple):
    """How many rows of each kind were new (an attempt that replaced an error counts as new)."""

    samples: int
    attempts: int
    windows: int


def write(
    connection: sa.Connection,
    samples: Sequence[SampleRecord],
    attempts: Sequence[AttemptRecord],
    windows: Sequence[WindowRecord],
    power: Sequence[PowerRecord] = (),
) -> Written:
    """See `results.store.Store.write`."""
    new_samples = write_samples(connection, samples)
    new_attempts = write_attempts(connection, attempts)
    new_windows = write_windows(connection, windows)
    write_power(connection, power)
    return Written(new_samples, new_attempts, new_windows)


# --- samples ----------------------------------------------------------------------------------------------------------------------------


def write_samples(connection: sa.Connection, samples: Sequence[SampleRecord]) -> int:
    by_key = {s.key: s for s in reversed(samples)}
    stored = sample_ids(connection, list(by_key))
    # In one order for all: two writers on a server that meet the same keys then wait for each other, and never both.
    new = [by_key[key] for key in sorted(by_key) if key not in stored]
    if not new:
        return 0
    pieces = [_pieces(s) for s in new]
    ids = texts.put(connection, (piece for of_one in pieces for piece in of_one.values()))
    bulk.insert(connection, _SAMPLE, [_sample_row(s, of_one, ids) for s, of_one in zip(new, pieces, strict=True)], new=True)
    scored = [s for s in new if s.scores]
    if scored:
        number = sample_ids(connection, [s.key for s in scored])
        rows = [{"sample_id": number[s.key], "step": n, "score": score} for s in scored for n, score in enumerate(s.scores or ())]
        bulk.insert(connection, _SCORE, rows, new=True)
    return len(new)


def _pieces(sample: SampleRecord) -> dict[str, Piece]:
    return {field: (kind, content) for field, kind in KINDS.items() if (content := getattr(sample, field)) is not None}


def _sample_row(sample: SampleRecord, pieces: Mapping[str, Piece], ids: Mapping[Piece, int]) -> dict[str, Any]:
    row: dict[str, Any] = dict(zip(PLAIN, _PLAIN_OF(sample), strict=True))
    for field, column in TEXTS.items():
        row[column] = ids[pieces[field]] if field in pieces else None
    return row


def sample_ids(connection: sa.Connection, keys: Sequence[str]) -> dict[str, int]:
    """Ids of those of `keys` that are stored."""
    return dict(bulk.ids(connection, _SAMPLE, "key", keys))


# --- attempts ---------------------------------------------------------------------------------------------------------------------------


def write_attempts(connection: sa.Connection, attempts: Sequence[AttemptRecord]) -> int:
    wanted = _one_each(attempts)
    stored = _stored(connection, wanted)
    new = [a for place, a in wanted.items() if place not in stored or stored[place].error is not None]
    failed = [stored[_place(a)] for a in new if _place(a) in stored]
    for part in chunks([row.id for row in failed]):
        connection.execute(sa.delete(_ATTEMPT).where(_ATTEMPT.c.id.in_(part)))  # and all that hangs on them
    pairs = _insert_attempts(connection, new)
    used = sample_ids(connection, sorted({u.sample_key for _, a in pairs for u in a.uses}))
    judgements = [judgement_row(number, a.judge, a.outcomes, a.extracted, a.scores) for number, a in pairs]
    bulk.insert(connection, _JUDGEMENT, judgements)
    bulk.insert(connection, _LEDGER, [{"attempt_id": number, **vars(entry)} for number, a in pairs for entry in a.ledger])
    bulk.insert(connection, _USE, [_use_row(number, use, used) for number, a in pairs for use in a.uses])
    memories.write(connection, [a for _, a in pairs])
    known = {(cell, problem) for cell, problem, _ in stored}
    _advance(connection, [a for _, a in pairs], judgements, failed, known)
    return len(pairs)


def _insert_attempts(connection: sa.Connection, attempts: Sequence[AttemptRecord]) -> list[tuple[int, AttemptRecord]]:
    """Insert; those that another writer inserted first are left out. (id, attempt) each."""
    if not attempts:
        return []
    ids = texts.put(connection, (("text", a.text) for a in attempts))
    inserted: dict[Place, int] = {}
    statement = on_new(connection, _ATTEMPT).returning(_ATTEMPT.c.id, _ATTEMPT.c.cell_id, _ATTEMPT.c.problem_id, _ATTEMPT.c.trial)
    for part in chunks([_attempt_row(a, ids) for a in attempts]):
        inserted |= {(cell, problem, trial): number for number, cell, problem, trial in connection.execute(statement, part)}
    return [(inserted[_place(a)], a) for a in attempts if _place(a) in inserted]


def _place(attempt: AttemptRecord) -> Place:
    return attempt.cell_id, attempt.problem_id, attempt.trial


def _one_each(attempts: Sequence[AttemptRecord]) -> dict[Place, AttemptRecord]:
    """One record per attempt: the first without an error, else the last."""
    chosen: dict[Place, AttemptRecord] = {}
    for attempt in attempts:
        before = chosen.get(_place(attempt))
        if before is None or before.error is not None:
            chosen[_place(attempt)] = attempt
    return chosen


def _stored(connection: sa.Connection, wanted: Mapping[Place, AttemptRecord]) -> dict[Place, Any]:
    """Stored attempts, with their error and number of items, on the cells and problems of these."""
    found: dict[Place, Any] = {}
    a = _ATTEMPT.c
    query = sa.select(
        a.id, a.cell_id, a.problem_id, a.trial, a.error, _JUDGEMENT.c["items"].label("size"), _JUDGEMENT.c.error.label("errors")
    )
    query = query.outerjoin(_JUDGEMENT, sa.and_(_JUDGEMENT.c.attempt_id == a.id, _JUDGEMENT.c.current))
    for cell_id in {cell for cell, _, _ in wanted}:
        for part in chunks(sorted({problem for cell, problem, _ in wanted if cell == cell_id})):
            for row in connection.execute(query.where(a.cell_id == cell_id, a.problem_id.in_(part))):
                found[cell_id, row.problem_id, row.trial] = row
    return found


def _attempt_row(attempt: AttemptRecord, ids: Mapping[Piece, int]) -> dict[str, Any]:
    row: dict[str, Any] = dict(zip(OWN, _OWN_OF(attempt), strict=True))
    answers = None if attempt.items is None else list(attempt.items)
    return row | {"text_id": ids[("text", attempt.text)], "answers": answers, "codes": dict(attempt.codes)}


def judgement_row(
    attempt_id: int, judge: str, outcomes: Sequence[str], extracted: Sequence[str | None], scores: Mapping[str, float]
) -> dict[str, Any]:
    """A row of the judgement table, its counts by outcome included; it is the current one."""
    names = [str(o) for o in outcomes]
    strange = sorted(set(names).difference(OUTCOMES))
    if strange:
        raise PerPassError(f"judge {judge!r} gave the outcome {strange[0]!r}, which does not exist")
    return {
        "attempt_id": attempt_id,
        "judge": judge,
        "current": True,
        "items": len(outcomes),
        **{name: names.count(name) for name in OUTCOMES},
        "outcomes": names,
        "extracted": list(extracted),
        "scores": canonical(scores),
    }


def _use_row(attempt_id: int, use: Any, ids: Mapping[str, int]) -> dict[str, Any]:
    if use.sample_key not in ids:
        raise PerPassError(f"an attempt uses sample {use.sample_key!r}, which is neither stored nor in the batch")
    return {
        "attempt_id": attempt_id,
        "ordinal": use.ordinal,
        "sample_id": ids[use.sample_key],
        "role": use.role,
        "output": use.output,
        "cached": use.cached,
        "share": use.share,
        "chosen": use.chosen,
    }


# --- windows and counters ---------------------------------------------------------------------------------------------------------------


def write_windows(connection: sa.Connection, windows: Sequence[WindowRecord]) -> int:
    if not windows:
        return 0
    before = connection.execute(sa.select(sa.func.count()).select_from(_WINDOW)).scalar_one()
    connection.execute(on_new(connection, _WINDOW), [_window_row(w) for w in windows])
    return int(connection.execute(sa.select(sa.func.count()).select_from(_WINDOW)).scalar_one()) - int(before)


def write_power(connection: sa.Connection, power: Sequence[PowerRecord]) -> None:
    if not power:
        return
    ids = texts.put(connection, (("float32", values) for p in power for values in (p.times, p.values)))
    rows = [
        {**{f: getattr(p, f) for f in ("run_id", "meter", "quantity", "domain", "device", "started", "ended")}, "readings": len(p.times)}
        | {"times_id": ids[("float32", p.times)], "values_id": ids[("float32", p.values)]}
        for p in power
    ]
    connection.execute(on_new(connection, _POWER), rows)


def _window_row(window: WindowRecord) -> dict[str, Any]:
    row = {f: getattr(window, f) for f in WindowRecord.__dataclass_fields__ if f not in ("start", "end", "codes", "parameters")}
    codes, parameters = [str(c) for c in window.codes], canonical(window.parameters)
    return row | {"started": window.start, "ended": window.end, "codes": codes, "parameters": parameters}


def _advance(
    connection: sa.Connection,
    new: Sequence[AttemptRecord],
    judgements: Sequence[Mapping[str, Any]],
    failed: Sequence[Any],
    known: set[tuple[int, int]],
) -> None:
    """Move the cells' counters by what was inserted and deleted; `known`: (cell, problem) that had attempts before."""
    moves: dict[int, Counter[str]] = {}
    for attempt, judgement in zip(new, judgements, strict=True):
        counts = {"attempts": 1, "items": judgement["items"], "correct": judgement["correct"], "errors": judgement["error"]}
        moves.setdefault(attempt.cell_id, Counter()).update(counts)
    for row in failed:
        moves[row.cell_id].subtract({"attempts": 1, "items": row.size or 0, "errors": row.errors or 0})
    for cell_id, _ in {(a.cell_id, a.problem_id) for a in new} - known:
        moves[cell_id]["problems"] += 1
    for cell_id in sorted(moves):
        values = {name: _CELL.c[name] + moves[cell_id][name] for name in COUNTERS}
        connection.execute(sa.update(_CELL).where(_CELL.c.id == cell_id).values(values))


def count(connection: sa.Connection, cell_ids: Iterable[int]) -> None:
    """Compute the counters of these cells anew, from the current judgements."""
    for cell_id in sorted(cell_ids):
        # The row lock comes first: of two writers on a server, the second then counts what the first has written.
        connection.execute(sa.select(_CELL.c.id).where(_CELL.c.id == cell_id).with_for_update())
        j, a = _JUDGEMENT.c, _ATTEMPT.c
        sums = (
            sa.func.coalesce(sa.func.sum(column), 0) for column in (j["items"], j.correct, j.error)
        )  # .items is a method of collections
        query = sa.select(sa.func.count(a.problem_id.distinct()), sa.func.count(), *sums)
        joined = query.select_from(_ATTEMPT).outerjoin(_JUDGEMENT, sa.and_(j.attempt_id == a.id, j.current)).where(a.cell_id == cell_id)
        connection.execute(
            sa.update(_CELL).where(_CELL.c.id == cell_id).values(dict(zip(COUNTERS, connection.execute(joined).one(), strict=True)))
        )
