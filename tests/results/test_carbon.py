"""Grams and litres: by hand, by region, with reasons; reporting them changes nothing that is stored."""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from perpass.errors import UserError
from results import carbon, energy, prices, report, schema
from results.axes import unit
from results.prices import PriceBook
from results.reasons import WORDS
from tests.results.builders import World, cell_key


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Four calls that took 7.2e6 J together, 2 kWh; three of four answers are right, each problem is solved."""
    made = World.make(tmp_path / "perpass.db")
    cell = made.cell(cell_key(), 2)
    made.solve(cell, cell_key(), {"p0": ["correct", "wrong"], "p1": ["correct", "correct"]})
    made.store.write(windows=[made.window(0, made.clock + 1, 7.2e6)])
    energy.settle(made.engine, made.run_id)
    return made


def row(world: World, **options: Any) -> report.Row:
    (found,) = report.rows(world.engine, **options)
    return found


def test_grams_and_litres_by_hand(world: World) -> None:
    found, place = row(world), carbon.grid("US")
    assert place.carbon is not None and place.water is not None
    kwh = 0.5  # per item
    litres = place.wue.value + place.pue.value * place.water.value
    assert found["gco2e"] == pytest.approx(kwh * place.carbon.value)
    assert found["water_l"] == pytest.approx(kwh * litres)
    assert found["kwh_per_1000"] == pytest.approx(1000 * kwh)
    assert found["gco2e_per_1000"] == pytest.approx(1000 * found["gco2e"])
    assert found["water_per_1000_l"] == pytest.approx(1000 * found["water_l"])
    assert found["gco2e_per_correct"] == pytest.approx(2 * place.carbon.value / 3)  # 2 kWh for three correct answers
    # p0: 0.5 kWh at a rate of 1/2; p1: 0.5 kWh at a rate of 1
    assert found["gco2e_of_pass"] == pytest.approx((1.0 + 0.5) / 2 * place.carbon.value)
    assert found["water_of_pass_l"] == pytest.approx(0.75 * litres) and found["region"] == "US"


def test_the_region_is_a_choice(world: World) -> None:
    us, fr = row(world), row(world, region="fr")
    assert fr["region"] == "FR" and fr["gco2e"] < us["gco2e"] and fr["energy_j"] == us["energy_j"]
    assert fr["water_l"] is None and fr["reasons"]["water_l"] == fr["reasons"]["water_per_1000_l"] == "no_water_intensity"
    assert fr["energy_cost_usd"] is None and fr["reasons"]["energy_cost_usd"] == "no_price"
    de = row(world, region="DE")
    price = PriceBook.load().energy_price("DE")
    assert price is not None and de["energy_cost_usd"] == pytest.approx(0.5 * price)


def test_an_unknown_region_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"--region: unknown region 'worl'; did you mean 'world'"):
        carbon.grid("WORL")
    assert carbon.grid("south africa").region == "ZA"


def test_every_region_that_can_be_chosen_is_listed() -> None:
    listed = {entry["name"]: entry for entry in carbon.regions()}
    priced = {e.subject for e in PriceBook.load().entries if e.kind == "energy"}
    assert set(listed) == priced | set(yaml.safe_load(carbon.DATA.read_text())["regions"]) and list(listed) == sorted(listed)
    assert (listed["FR"]["gco2e_per_kwh"], listed["FR"]["gco2e_per_kwh_year"], listed["FR"]["water_l_per_kwh"]) == (56, 2023, None)
    assert listed["EU"]["gco2e_per_kwh"] is None and listed["US"]["water_l_per_kwh"] == 4.35  # of the EU only a price was read


def test_grams_are_an_axis(world: World) -> None:
    found = row(world, axes=["accuracy", "carbon", "water"])
    assert found["frontier_axes"] == ["accuracy", "gco2e", "water_l"] and found["frontier"]
    assert row(world, axes=["accuracy", "gco2e_of_pass"])["frontier"]
    assert unit("gco2e", [found])[1].startswith("emissions per item, ") and unit("gco2e", [found])[1].endswith("gCO2e")
    assert unit("water_l", [found])[1].endswith("L") and unit("energy_j", [found])[1].endswith("J")


def test_without_joules_there_are_neither_grams_nor_litres(tmp_path: Path) -> None:
    world = World.make(tmp_path / "perpass.db")
    cell = world.cell(cell_key(), 1)
    world.solve(cell, cell_key(), {"p0": ["correct"]})
    found = row(world)
    for field in carbon.FIELDS[:-1]:
        assert found[field] is None and found["reasons"][field] == found["reasons"]["energy_j"]


def test_what_is_never_solved_emits_without_end(tmp_path: Path) -> None:
    world = World.make(tmp_path / "perpass.db")
    cell = world.cell(cell_key(), 1)
    world.solve(cell, cell_key(), {"p0": ["wrong"]})
    world.store.write(windows=[world.window(0, world.clock + 1, 3.6e6)])
    energy.settle(world.engine, world.run_id)
    assert row(world)["gco2e_of_pass"] == math.inf == row(world)["water_per_correct_l"]


def everything(engine: sa.Engine) -> dict[str, list[Any]]:
    with engine.connect() as connection:
        return {t.name: list(connection.execute(sa.select(t)).all()) for t in schema.Base.metadata.sorted_tables}


def test_pricing_again_changes_no_stored_measurement(world: World, tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("energy: [{subject: US, usd_per_kwh: 9.0, date: 2026-11-01, source: another shop}]\n")
    before, first = everything(world.engine), row(world)
    again = row(world, book=PriceBook.load(path), region="US")
    assert again["energy_cost_usd"] == pytest.approx(0.5 * 9.0) != pytest.approx(first["energy_cost_usd"])
    row(world, region="WORLD")
    assert everything(world.engine) == before
    prices.record_book(world.engine, PriceBook.load(path))  # which book was in force is a row of its own
    after = everything(world.engine)
    assert {name for name in after if after[name] != before[name]} == {"price"}


def test_every_number_has_a_year_and_a_source_that_was_read() -> None:
    raw = yaml.safe_load(carbon.DATA.read_text())
    for source in raw["sources"].values():
        assert source["title"] and source["address"] and source["read"] <= datetime.date.fromisoformat(str(raw["as_of"]))
    used = {entry[what][1] for entry in raw["regions"].values() for what in ("carbon", "water") if what in entry}
    assert used | {entry[1] for entry in raw["site"].values()} == set(raw["sources"])
    for entry in carbon.regions():
        assert entry["gco2e_per_kwh"] is None or 10 < entry["gco2e_per_kwh"] < 1000
        assert entry["gco2e_per_kwh"] is None or 2018 <= entry["gco2e_per_kwh_year"] <= 2026
    assert {carbon.NO_CARBON, carbon.NO_WATER} <= set(WORDS)
    assert any("version" in note for note in carbon.notes(carbon.grid("US")))
    assert "no water intensity" in " ".join(carbon.notes(carbon.grid("DE")))
