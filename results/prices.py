"""Prices: dated data that turn tokens, device-seconds and joules into dollars when a cell is reported, never when it is run.

Each of the three is a cost of its own; an unknown price is None with the code `no_price`, never 0. Re-pricing changes no measurement.
"""

from __future__ import annotations

import datetime
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
import yaml

from perpass.errors import UserError
from perpass.identity import content_hash
from results.schema import Price

BOOK = Path(__file__).parent / "data" / "prices.yaml"
HUMAN = Path(__file__).parent / "data" / "human.yaml"
NO_PRICE = "no_price"
NO_HUMAN_PRICE = "no_human_price"
REGION = "US"
CPU = "CPU core"

RATES = {"token": ("input", "cached", "output"), "hardware": ("usd_per_device_hour", "usd_per_core_hour"), "energy": ("usd_per_kwh",)}


class Tokens(Protocol):
    """A ledger row: prompt includes cached."""

    prompt: int
    cached: int
    output: int
    scored: int


@dataclass(frozen=True)
class Entry:
    """One price. `rates`: USD per million tokens (input, cached, output), per device-hour or core-hour, or per kWh."""

    kind: str
    subject: str
    rates: Mapping[str, float]
    date: str
    source: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class TokenPrice:
    """USD per million tokens."""

    input: float
    cached: float
    output: float


@dataclass(frozen=True)
class PriceBook:
    """All prices of one file; of several entries for one subject the newest counts."""

    entries: tuple[Entry, ...]

    @staticmethod
    def load(path: str | os.PathLike[str] | None = None) -> PriceBook:
        """The shipped book, or one of the same layout at `path`. Raises UserError naming the file and the entry that is wrong."""
        return _load(Path(path) if path else BOOK)

    @cached_property
    def id(self) -> str:
        """Content hash: the book's version."""
        return content_hash([[e.kind, e.subject, e.rates, e.date, e.source, e.aliases] for e in self.entries])

    @cached_property
    def _newest(self) -> dict[tuple[str, str], Entry]:
        ordered = sorted(self.entries, key=lambda e: e.date)
        return {(e.kind, name.lower()): e for e in ordered for name in (e.subject, *e.aliases)}

    def entry(self, kind: str, subject: str) -> Entry | None:
        """The newest entry; names ignore case."""
        return self._newest.get((kind, subject.lower()))

    def token_price(self, model_name: str) -> TokenPrice | None:
        """USD per million tokens of a model that is sold by the token; None for one that is not, or not known."""
        found = self.entry("token", model_name)
        return TokenPrice(**found.rates) if found else None

    def call_cost(self, model_name: str, *, prompt: int, cached: int, output: int, scored: int = 0) -> float | None:
        """USD of these tokens; scored tokens are read, so they cost what input does."""
        price = self.token_price(model_name)
        if price is None:
            return None
        return ((prompt - cached + scored) * price.input + cached * price.cached + output * price.output) / 1e6

    def token_cost(self, model_name: str, ledger: Iterable[Tokens]) -> float | None:
        """USD of ledger rows at the model's token price."""
        costs = [self.call_cost(model_name, prompt=r.prompt, cached=r.cached, output=r.output, scored=r.scored) for r in ledger]
        return None if any(c is None for c in costs) else sum(c for c in costs if c is not None)

    def hardware_price(self, hardware: str | Mapping[str, Any]) -> float | None:
        """USD per hour of one device: a GPU by its name, a CPU machine as its cores × the price of a core. `hardware`: name or identity."""
        name = hardware if isinstance(hardware, str) else str(hardware.get("name", ""))
        found = self.entry("hardware", name)
        if found is None and (cores := re.search(r"\((\d+) cores?\)$", name)):
            found = self.entry("hardware", CPU)
            return found.rates["usd_per_core_hour"] * int(cores[1]) if found else None
        return found.rates.get("usd_per_device_hour") if found else None

    def hardware_cost(self, hardware: str | Mapping[str, Any], device_s: float | None) -> float | None:
        """USD of device-seconds (already counted once per device)."""
        price = self.hardware_price(hardware)
        return None if price is None or device_s is None else price * device_s / 3600

    def energy_price(self, region: str = REGION) -> float | None:
        """USD per kWh."""
        found = self.entry("energy", region)
        return found.rates["usd_per_kwh"] if found else None

    def energy_cost(self, joules: float | None, region: str = REGION) -> float | None:
        """USD of the electricity."""
        price = self.energy_price(region)
        return None if price is None or joules is None else price * joules / 3.6e6

    def rows(self) -> list[dict[str, Any]]:
        """The entries as plain rows: name, kind, rates in one text with their unit, date, source."""
        return [{"name": e.subject, "kind": e.kind, "price": _text(e), **e.rates, "date": e.date, "source": e.source} for e in self.entries]


def _text(entry: Entry) -> str:
    if entry.kind == "token":
        return " / ".join(f"{entry.rates[k]:g}" for k in RATES["token"]) + " USD per M tokens (input / cached / output)"
    ((name, rate),) = entry.rates.items()
    unit = {"usd_per_device_hour": "device-hour", "usd_per_core_hour": "core-hour", "usd_per_kwh": "kWh"}[name]
    return f"{rate:g} USD per {unit}"


@lru_cache(maxsize=8)
def _load(path: Path) -> PriceBook:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"cannot read the price book {path}: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected the keys {', '.join(RATES)}")
    return PriceBook(tuple(_entry(kind, raw, path) for kind in RATES for raw in content.get(kind) or ()))


def _entry(kind: str, raw: Any, path: Path) -> Entry:
    where = f"{path}: {kind} price of {raw.get('subject', '?') if isinstance(raw, dict) else raw}"
    missing = [k for k in ("subject", "date", "source") if not isinstance(raw, dict) or not raw.get(k)]
    if missing:
        raise UserError(f"{where}: {missing[0]} is missing")
    rates = {k: raw[k] for k in RATES[kind] if k in raw}
    strange = set(raw) - {"subject", "date", "source", "aliases", *RATES[kind]}
    if strange:
        raise UserError(f"{where}: unknown key {sorted(strange)[0]!r}; expected {', '.join(RATES[kind])}")
    if (
        not rates
        or (kind == "token" and len(rates) < 3)
        or any(isinstance(v, bool) or not isinstance(v, (int, float)) or v < 0 for v in rates.values())
    ):
        raise UserError(f"{where}: expected {', '.join(RATES[kind])} as numbers of USD, not negative")
    try:
        date = datetime.date.fromisoformat(str(raw["date"])).isoformat()
    except ValueError as error:
        raise UserError(f"{where}: date must be YYYY-MM-DD, not {raw['date']!r}") from error
    return Entry(
        kind, str(raw["subject"]), {k: float(v) for k, v in rates.items()}, date, str(raw["source"]), tuple(raw.get("aliases") or ())
    )


@lru_cache(maxsize=1)
def _human() -> dict[str, float]:
    content = yaml.safe_load(HUMAN.read_text(encoding="utf-8"))
    return {task: float(row["usd_per_problem"]) for row in content["prices"] for task in row["tasks"]}


def human_price(task: str | Mapping[str, Any]) -> float | None:
    """USD per problem of a human expert on a task (arXiv:2504.13359); None where nobody has priced one. `task`: name or identity.

    A wrapper over a priced task (REST over gsm8k) has no price: the items are the same, but nobody asked an expert s of them at once.
    """
    name = task if isinstance(task, str) else str(task.get("name", ""))
    return _human().get(name.lower())


def record_book(engine: sa.Engine, book: PriceBook | None = None) -> str:
    """Copy the book's rows to the table `price`, once per version; returns the version."""
    from results.database import transaction
    from results.texts import on_new

    book = book or PriceBook.load()
    shared = {"book": book.id, "recorded": time.time()}
    rows: Sequence[dict[str, Any]] = [
        {**shared, "kind": e.kind, "subject": e.subject, "rates": dict(e.rates), "date": e.date, "source": e.source} for e in book.entries
    ]
    if rows:
        with transaction(engine) as connection:
            connection.execute(on_new(connection, Price.__table__), rows)
    return book.id
