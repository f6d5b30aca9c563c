"""Projection between H100 and B200 on ML.ENERGY's tables: `python -m tests.benchmarks.projection [FOLDER] [--write]`.

Constants are fitted on one table and tested on the other, which is never fitted on, and the other way round; each test in both directions.
Printed beside the errors: those of naive baselines on the same pairs. FOLDER: where the tables are, `$PERPASS_DATA/ml_energy` unless given.
--write: keep constants and errors in `energy/data/projection.yaml`, which `bench project` uses.
Exits 1 when a median error of J/token is above 0.30.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import yaml

from energy import projection
from energy.projection import Error
from results import ml_energy, whatif

OUT = Path(projection.__file__).parent / "data" / "projection.yaml"
HEAD = """\
# The constants of `energy.projection` and their errors, written by `python -m tests.benchmarks.projection --write`: fitted on one table of
# the ML.ENERGY leaderboard (ml.energy/leaderboard, {updated}), tested on pairs of rows of the other, which was not fitted on.
"""
LIMIT = 0.30
KINDS = ("H100", "B200")


def tables(folder: Path) -> dict[str, list[whatif.Published]]:
    """Usable rows by task."""
    rows = [{"task": r.task, "model": r.model, "hardware": r.hardware, **r.values} for r in ml_energy.read(folder)]
    found, left = whatif.usable(rows)
    print(f"{len(rows)} rows, {len(found)} usable" + "".join(f"; left out: {count} because {why}" for why, count in left.items()))
    made: dict[str, list[whatif.Published]] = {}
    for row in found:
        made.setdefault(row.row["task"], []).append(row)
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description="Projection between H100 and B200 on ML.ENERGY's tables")
    parser.add_argument("folder", nargs="?", default=Path(os.environ.get("PERPASS_DATA", ".")) / "ml_energy", type=Path)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    found = tables(asked.folder)
    first, second = sorted(found)
    fits = [whatif.both_ways(found[a], found[b], KINDS) for a, b in ((first, second), (second, first))]
    print(f"\n{'fitted on':15}{'tested on':15}{'from':6}{'to':6}{'pairs':>6}  {'':12}{'J/token':>17}{'s/token':>17}")
    print(f"{'':50}{'':12}{'median':>9}{'90 %':>8}{'median':>9}{'90 %':>8}")
    for fit in fits:
        for (here, there), error in fit.errors.items():
            _line((fit.table, fit.tested_on, here, there), "projected", error)
            pairs = whatif.pairs(found[fit.tested_on], here, there)
            for name in ("unchanged", "tdp", "bandwidth"):
                _line(("", "", "", ""), name, whatif.errors(pairs, None, name))
            own = whatif.errors(whatif.pairs(found[fit.table], here, there), fit.constants)
            _line(("", "", "", ""), "(fitted on)", own)
    for fit in fits:
        print(f"\nconstants of {fit.table}: " + ", ".join(f"{name} {value:.3g}" for name, value in vars(fit.constants).items()))
    if asked.write:
        updated = next(r.provenance["last_updated"] for r in ml_energy.read(asked.folder))
        text = yaml.safe_dump({"fits": projection.shipped_as(fits)}, sort_keys=False, width=140)
        OUT.write_text(HEAD.format(updated=updated) + text, encoding="utf-8")
        print(f"\nwritten to {OUT}")
    worst = max(error.energy_median for fit in fits for error in fit.errors.values())
    print(f"\nlargest median error of J/token: {worst:.3f} ({'within' if worst <= LIMIT else 'above'} {LIMIT})")
    return int(worst > LIMIT)


def _line(names: tuple[str, str, str, str], what: str, e: Error) -> None:
    fitted, tested, here, there = names
    numbers = f"{e.energy_median:9.3f}{e.energy_p90:8.3f}{e.time_median:9.3f}{e.time_p90:8.3f}"
    print(f"{fitted:15}{tested:15}{here:6}{there:6}{e.pairs:6}  {what:12}{numbers}")


if __name__ == "__main__":
    sys.exit(main())
