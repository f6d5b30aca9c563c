"""`bench calibrate`: what this machine reaches, so that utilisation is known where the hardware table has no peaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.options import Format

if TYPE_CHECKING:
    from energy.calibrate import Calibration


def calibrate(
    hardware: Annotated[str | None, typer.Option("--hardware", metavar="gpu|cpu", help="Which, where there is a GPU.")] = None,
    idle: Annotated[float, typer.Option("--idle", metavar="SECONDS", help="How long to read the power at rest.")] = 10.0,
    format: Format = "table",
) -> None:
    """Measure this machine: power at rest, copy bandwidth and matrix products by precision. Takes half a minute; leave it alone meanwhile.

    MFU and MBU are computed with it where the hardware table has no peaks. `bench run` keeps it with every run.
    """
    import sys

    from bench.commands import options, output
    from energy import calibrate as calibrating
    from energy.hardware import detect
    from perpass.errors import UserError
    from results.table import plain

    options.choose(format, ["table", "json"], "format")
    if not 0 < idle <= 600:
        raise UserError(f"--idle {idle:g}: expected seconds above 0 and at most 600")
    kind = None if hardware is None else options.choose(hardware, ["gpu", "cpu"], "hardware")
    machine = detect("gpu" if kind == "gpu" else "cpu" if kind == "cpu" else None)

    def say(what: str) -> None:
        print(f"measuring {what} …", file=sys.stderr, flush=True)

    found = calibrating.measure(machine, say, idle)
    where = calibrating.save(found)
    if format == "json":
        from dataclasses import asdict

        output.json_lines(plain(asdict(found)))
        return
    print(f"{machine.label}: {found.device}, torch {found.torch}" + (f", {found.threads} threads" if found.threads else ""))
    output.table(_lines(found))
    if found.idle_w is None:
        print(f"\nidle power: not measured, {found.idle_reason}")
    if busy := [name for name, rate in found.peaks.items() if rate.median < 0.8 * rate.best]:
        print(f"\nThe median of {', '.join(busy)} is far below the best: something else was at work. Measure again when it is not.")
    print(f"\nkept in {where}: MFU and MBU of live cells use the best where the hardware table has no peak.")
    if found.count > 1:
        print(f"Measured on one of {found.count} GPUs; all of them are taken to do as much.")
    print("next: bench run demo --set mode=live --set concurrency=8, and its report shows MFU and MBU")


def _lines(found: Calibration) -> list[dict[str, str]]:
    from results.wording import MISSING, number, si_scale

    rows = []
    if found.idle_w is not None:
        rows.append({"what": "power at rest", "best": number(found.idle_w), "median": MISSING, "unit": f"W ({found.idle_source})"})
    rates = {"copy bandwidth": found.bandwidth, **{f"{name} products": rate for name, rate in found.peaks.items()}}
    for name, rate in rates.items():
        scale, prefix = si_scale([rate.best])
        unit = "B/s" if name == "copy bandwidth" else "OP/s" if name.startswith("int8") else "FLOP/s"
        rows.append({"what": name, "best": number(rate.best, scale), "median": number(rate.median, scale), "unit": f"{prefix}{unit}"})
    refused = [{"what": f"{name} products", "best": MISSING, "median": MISSING, "unit": said} for name, said in found.unavailable.items()]
    return rows + refused
