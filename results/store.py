"""The store: what the runner reads and writes.

Synchronous, for one writer thread beside readers. Every write is one transaction and idempotent, so a run killed at any moment resumes with
nothing lost and nothing double: a known sample key changes nothing, a stored attempt is replaced only if it ended in an error.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

import sqlalchemy as sa

from perpass.identity import canonical, content_hash
from results import identities, memories, reading, writing
from results.database import transaction
from results.records import AttemptRecord, CellKey, PowerRecord, SampleRecord, Twin, Use, WindowRecord
from results.schema import Attempt, Cell, Run
from results.texts import on_new
from results.writing import Written
from tasks.types import Problem

T = TypeVar("T")
P = ParamSpec("P")

_CELL: Any = Cell.__table__
_RUN: Any = Run.__table__


class CellRow(NamedTuple):
    """A cell's database id and its public name (10 hex digits)."""

    id: int
    name: str


class Store:
    """Reads and writes on one database engine (see `results.database.open_database`)."""

    def __init__(self, engine: sa.Engine):
        self.engine = engine
        self._ids: dict[tuple[str, str], int] = {}

    # --- identities ---------------------------------------------------------------------------------------------------------------------

    def model_id(self, identity: Mapping[str, Any]) -> int:
        return self._identity("model", identity)

    def engine_id(self, identity: Mapping[str, Any]) -> int:
        return self._identity("engine", identity)

    def hardware_id(self, identity: Mapping[str, Any]) -> int:
        return self._identity("hardware", identity)

    def strategy_id(self, identity: Mapping[str, Any]) -> int:
        return self._identity("strategy", identity)

    def task_id(self, identity: Mapping[str, Any]) -> int:
        return self._identity("task", identity)

    def _identity(self, table: str, identity: Mapping[str, Any]) -> int:
        known = (table, content_hash(identity))
        if known not in self._ids:
            with transaction(self.engine) as connection:
                found = identities.row_id(connection, table, identity)
            self._ids[known] = found  # only once it is committed
        return self._ids[known]

    def problem_ids(self, task_id: int, problems: Sequence[Problem]) -> dict[str, int]:
        """Ids by key; `problems` in the task's fixed order, all or its beginning. Raises PerPassError when a known key changed content."""
        with transaction(self.engine) as connection:
            return identities.problem_ids(connection, task_id, problems)

    # --- runs and cells -----------------------------------------------------------------------------------------------------------------

    def begin_run(self, name: str, text: str, argv: Sequence[str], environment: Mapping[str, Any], series: str) -> int:
        """A new run of the experiment `name`; `text` is the experiment as resolved. Its id. Keeps a copy of the price book in force."""
        from results.prices import record_book

        record_book(self.engine)
        row = {
            "uuid": str(uuid.uuid4()),
            "started": time.time(),
            "status": "running",
            "settled": False,
            "experiment": name,
            "text": text,
            "series": series,
            "argv": list(argv),
            "environment": canonical(environment),
        }
        with transaction(self.engine) as connection:
            return int(connection.execute(sa.insert(_RUN).values(row).returning(_RUN.c.id)).scalar_one())

    def describe_run(self, run_id: int, environment: Mapping[str, Any]) -> None:
        """Replace a run's environment: an engine says more of itself once it is open."""
        with transaction(self.engine) as connection:
            connection.execute(sa.update(_RUN).where(_RUN.c.id == run_id).values(environment=canonical(environment)))

    def end_run(self, run_id: int, status: str) -> None:
        """Close a run: done | interrupted | failed | budget. Settling its energy is `results.energy.settle`."""
        with transaction(self.engine) as connection:
            writing.count(connection, connection.execute(sa.select(Attempt.cell_id).where(Attempt.run_id == run_id).distinct()).scalars())
            connection.execute(sa.update(_RUN).where(_RUN.c.id == run_id).values(status=status, ended=time.time()))

    def cell(self, key: CellKey, series: str, experiment: str, limit: int | None, trials: int) -> CellRow:
        """The cell of `key` in `series`, made if it is new; registers that `experiment` contains it with this limit and these trials."""
        ids = {f"{name}_id": self._identity(name, getattr(key, name)) for name in identities.TABLES}
        identity = content_hash(key)
        find = sa.select(_CELL.c.id, _CELL.c.name, _CELL.c.experiments).where(_CELL.c.identity == identity, _CELL.c.series == series)
        with transaction(self.engine) as connection:
            row = connection.execute(find.with_for_update()).one_or_none()
            if row is None:
                connection.execute(on_new(connection, _CELL), [self._new_cell(key, identity, series, ids)])
                row = connection.execute(find.with_for_update()).one()
            entry = {"limit": limit, "trials": trials}
            if row.experiments.get(experiment) != entry:
                experiments = {**row.experiments, experiment: entry}
                connection.execute(sa.update(_CELL).where(_CELL.c.id == row.id).values(experiments=experiments))
        return CellRow(int(row.id), str(row.name))

    def _new_cell(self, key: CellKey, identity: str, series: str, ids: Mapping[str, int]) -> dict[str, Any]:
        return {
            "identity": identity,
            "name": identity[:10],
            "series": series,
            **ids,
            "roles": canonical(key.roles),
            "seed": key.seed,
            "mode": key.mode,
            "concurrency": key.concurrency,
            "experiments": {},
            "codes": [],
            "created": time.time(),
            **dict.fromkeys(("problems", "attempts", "items", "correct", "errors"), 0),
        }

    def add_code(self, cell_id: int, code: str) -> None:
        """Mark a cell, e.g. `resumed` or `mixed_environment`. A code is kept once."""
        with transaction(self.engine) as connection:
            codes = connection.execute(sa.select(_CELL.c.codes).where(_CELL.c.id == cell_id).with_for_update()).scalar_one()
            if code not in codes:
                connection.execute(sa.update(_CELL).where(_CELL.c.id == cell_id).values(codes=[*codes, code]))

    # --- results ------------------------------------------------------------------------------------------------------------------------

    def write(
        self,
        samples: Sequence[SampleRecord] = (),
        attempts: Sequence[AttemptRecord] = (),
        windows: Sequence[WindowRecord] = (),
        power: Sequence[PowerRecord] = (),
    ) -> Written:
        """Write a batch in one transaction; returns how many rows of each were new. Attempts may use samples of the batch or stored ones.

        Raises PerPassError when an attempt uses a sample that is neither; nothing is then written.
        """
        with transaction(self.engine) as connection:
            return writing.write(connection, samples, attempts, windows, power)

    def finished(self, cell_id: int) -> set[tuple[int, int]]:
        """(problem id, trial) of the attempts that are stored without an error: what need not be run again."""
        return self._read(reading.finished, cell_id)

    def pool(self, pool: str, trial: int | None = None) -> list[SampleRecord]:
        """The stored samples of a pool, whole, by trial and position; `trial` None: of all trials."""
        return self._read(reading.pool, pool, trial)

    def pools(self, wanted: Sequence[tuple[str, int]]) -> dict[tuple[str, int], list[SampleRecord]]:
        """The stored samples of several pools' parts for a trial, each whole, by position; an empty list where there are none."""
        return self._read(reading.pools, wanted)

    def samples(self, keys: Iterable[str]) -> dict[str, SampleRecord]:
        """Stored samples by key; keys that are not stored are absent."""
        return self._read(reading.samples, list(keys))

    def attempt_samples(self, attempt_id: int) -> list[tuple[Use, SampleRecord]]:
        """What an attempt used, in call order, with the samples whole: enough to replay it."""
        return self._read(reading.attempt_samples, attempt_id)

    def twins(self, series: str) -> dict[int, list[Twin]]:
        """The pooled samples of a series by seed: an engine and its twin make the same sample of one seed."""
        return self._read(reading.twins, series)

    def memory_order(self, cell_id: int) -> dict[int, list[int]]:
        """Of a strategy with memory: the ids of the problems that each trial's memory has met, in order."""
        return self._read(memories.order, cell_id)

    def memory_after(self, cell_id: int, trial: int, ordinal: int) -> str | None:
        """What it carried on after the problem at this place of the order, as JSON."""
        return self._read(memories.after, cell_id, trial, ordinal)

    def judges(self, cell_id: int) -> dict[str, int]:
        """How many attempts have which judge version as the current one; another than the task's own asks for `bench rejudge`."""
        return self._read(reading.judges, cell_id)

    def environments(self, cell_id: int) -> list[dict[str, Any]]:
        """The environments of the runs that wrote attempts of this cell, oldest first: two different ones make `mixed_environment`."""
        return self._read(reading.environments, cell_id)

    def _read(self, function: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self.engine.connect() as connection:
            return function(connection, *args, **kwargs)
