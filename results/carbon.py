"""Grams and litres: what joules emit and drink in a region, computed when a cell is reported, never when it is run.

gCO2e = kWh × the grid's intensity; litres = kWh × (WUE + PUE × the electricity's water). kWh are the devices' as measured: a building's
overhead is in the litres only. The numbers are versioned data, `results/data/carbon.yaml`, each with its year and source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from perpass.errors import unknown
from results.prices import REGION, PriceBook

DATA = Path(__file__).parent / "data" / "carbon.yaml"
JOULES = 3.6e6
THOUSAND = 1000
NO_CARBON = "no_carbon_intensity"
NO_WATER = "no_water_intensity"
FIELDS = (
    *("gco2e", "water_l", "gco2e_per_correct", "water_per_correct_l", "gco2e_of_pass", "water_of_pass_l"),
    *("kwh_per_1000", "gco2e_per_1000", "water_per_1000_l", "region"),
)
SOURCES = {"": "energy_j", "_per_correct": "energy_per_correct_j", "_of_pass": "energy_of_pass_j"}
"""By suffix, the joules from which grams and litres are computed."""


@dataclass(frozen=True)
class Factor:
    """A number, its year, and what was read for it."""

    value: float
    year: int
    source: str


@dataclass(frozen=True)
class Grid:
    """One region's electricity. None: not known from a source that we read."""

    region: str
    name: str
    carbon: Factor | None
    """gCO2e per kWh."""
    water: Factor | None
    """Litres per kWh of electricity."""
    pue: Factor
    wue: Factor
    """Litres on site per kWh of the computers."""
    version: int

    def grams(self, joules: float | None) -> float | None:
        """gCO2e of the devices' joules."""
        return None if joules is None or self.carbon is None else joules / JOULES * self.carbon.value

    def litres(self, joules: float | None) -> float | None:
        """Litres of water, on site and at the power plants."""
        if joules is None or self.water is None:
            return None
        return joules / JOULES * (self.wue.value + self.pue.value * self.water.value)


def grid(region: str | None = None) -> Grid:
    """The electricity of `region`, by its code or name (US unless given; case does not matter). A region that only the price book knows has
    neither grams nor litres. Raises UserError with the nearest name for one that neither knows."""
    known, version, pue, wue = _table()
    wanted = (region or REGION).strip().upper()
    wanted = {name.upper(): code for code, (name, _, _) in known.items()}.get(wanted, wanted)
    if wanted in known:
        name, carbon, water = known[wanted]
        return Grid(wanted, name, carbon, water, pue, wue, version)
    if wanted in _codes():
        return Grid(wanted, wanted, None, None, pue, wue, version)
    # Lower case on both sides, or the nearest name would not be found; case does not matter anyway.
    raise unknown("region", wanted.lower(), [code.lower() for code in _codes()], "--region")


def _codes() -> list[str]:
    """Of the regions that have grams or litres, and of those that only the price book knows."""
    return sorted({*_table()[0], *(e.subject for e in PriceBook.load().entries if e.kind == "energy")})


def regions() -> list[dict[str, Any]]:
    """Every region that `grid` knows as a plain row: name, carbon and water with their years and sources; None where not known."""
    rows = []
    for place in map(grid, _codes()):
        row: dict[str, Any] = {"name": place.region, "region": place.name}
        for what, factor in (("gco2e_per_kwh", place.carbon), ("water_l_per_kwh", place.water)):
            row |= {what: factor and factor.value, f"{what}_year": factor and factor.year, f"{what}_source": factor and factor.source}
        rows.append(row)
    return rows


def add(row: dict[str, Any], place: Grid) -> None:
    """FIELDS of a report's row, from its joules; reasons for what is None. Infinite joules per correct answer are infinite grams."""
    reasons: dict[str, str] = row["reasons"]
    for suffix, joules in SOURCES.items():
        for field, value, lacking in (
            (f"gco2e{suffix}", place.grams(row[joules]), NO_CARBON),
            (f"water{suffix}_l", place.litres(row[joules]), NO_WATER),
        ):
            row[field] = value
            if value is None:
                reasons[field] = reasons.get(joules, lacking) if row[joules] is None else lacking
    per_thousand = {"kwh_per_1000": "energy_j", "gco2e_per_1000": "gco2e", "water_per_1000_l": "water_l"}
    for field, source in per_thousand.items():
        known = row[source]
        row[field] = None if known is None else THOUSAND * known / (JOULES if source == "energy_j" else 1)
        if known is None:
            reasons[field] = reasons[source]
    row["region"] = place.region


def notes(place: Grid) -> list[str]:
    """Where a region's grams and litres come from, in words."""
    found = ["gCO2e = kWh of the devices × the grid's mean intensity. Water = kWh × (on site + PUE × at the power plants)."]
    if place.carbon is None:
        found.append(f"{place.region}: no carbon intensity that we read.")
    else:
        found.append(f"{place.name}: {place.carbon.value:g} gCO2e/kWh ({place.carbon.year}; {place.carbon.source}).")
    if place.water is None:
        found.append(f"{place.name}: no water intensity of its electricity that we read.")
    else:
        found.append(
            f"{place.name}: {place.water.value:g} L/kWh at the power plants ({place.water.year}; {place.water.source}); WUE "
            f"{place.wue.value:g} L/kWh and PUE {place.pue.value:g}, means of US data centres ({place.wue.year}; {place.wue.source})."
        )
    return [*found, f"Grid data version {place.version}; another place: --region."]


@lru_cache(maxsize=1)
def _table() -> tuple[dict[str, tuple[str, Factor | None, Factor | None]], int, Factor, Factor]:
    raw = yaml.safe_load(DATA.read_text(encoding="utf-8"))
    sources = {key: f"{entry['title']}, {entry['address']}" for key, entry in raw["sources"].items()}

    def factor(row: Mapping[str, Any], key: str) -> Factor | None:
        if key not in row:
            return None
        value, source, year = row[key]
        return Factor(float(value), int(year), sources[source])

    pue, wue = factor(raw["site"], "pue"), factor(raw["site"], "wue")
    assert pue is not None and wue is not None
    known = {code: (str(row["name"]), factor(row, "carbon"), factor(row, "water")) for code, row in raw["regions"].items()}
    return known, int(raw["version"]), pue, wue
