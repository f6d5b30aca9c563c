"""Live cells in words: the rows of `results.live` as lines of two tables, times and energy, and the notes below them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from results.live import NAMES, Row
from results.reasons import words
from results.wording import MISSING, listed, mode, number

APART = tuple(name for name in NAMES if name not in {"cell", "mode", "concurrency"})

ABOVE = "Above 100 %: the calibration was made on a busy machine (`bench calibrate` repeats it), or what moves fits the processor's cache."


def lines(rows: Sequence[Row]) -> list[dict[str, str]]:
    """A line per cell: what tells it from the others, its load, rates and times (p50 / p99)."""
    made = []
    for row in rows:
        line = names(row, rows) | {
            "load": mode(row),
            "tokens/s": number(row["output_tokens_per_s"]),
            "makespan s": number(row["makespan_s"]),
            "TTFT ms": _pair(row, "ttft_s", 1000),
            "TPOT ms": _pair(row, "tpot_s", 1000),
            "ITL ms": _pair(row, "itl_s", 1000),
            "attempt s": _pair(row, "latency_s"),
            "MFU %": _share(row["mfu"]),
            "MBU %": _share(row["mbu"]),
        }
        if "goodput_per_s" in row:
            line["goodput calls/s"] = number(row["goodput_per_s"])
            line["in time %"] = MISSING if row["kept_targets"] is None else f"{100 * row['kept_targets']:.1f}"
        made.append(line)
    return made


def energy_lines(rows: Sequence[Row]) -> list[dict[str, str]]:
    """A line per cell: the steady state's joules per token, power, how full it was, and what is against it."""
    return [
        names(row, rows)
        | {
            "load": mode(row),
            "steady s": number(row["steady_duration_s"]),
            "calls in flight": number(row["steady_requests_in_flight"]),
            "full %": MISSING if row["steady_running_share"] is None else f"{100 * row['steady_running_share']:.0f}",
            "tokens/s": number(row["steady_tokens_per_s"]),
            "mJ/token": _joules(row),
            "W": number(row["steady_w"]),
            "idle W": number(row["idle_w"]),
            "codes": ", ".join(row["steady_codes"]) or ("valid" if row["steady_valid"] else MISSING),
        }
        for row in rows
    ]


def notes(rows: Sequence[Row]) -> list[str]:
    """What the columns mean, and why something is missing."""
    found = [
        "p50 / p99. TTFT: first token − send. TPOT: (last − first token) / (output tokens − 1), per call. ITL: gaps between the pieces of "
        "a stream. attempt: the critical path of one attempt's calls. makespan: last token − first send.",
        *_used(rows),
        "steady: from when as many calls as can be in flight have their first token until too few are left (ML.ENERGY v3). mJ/token: all "
        "joules of that span, idle power included and prefill charged to output, over the tokens streamed in it. ~ estimated, ? in doubt.",
    ]
    why: dict[str, list[str]] = {}
    for row in rows:
        for field, code in row["reasons"].items():
            why.setdefault(code, []).append(field)
    return found + [f"{MISSING} {listed(list(dict.fromkeys(fields)))} ({code}): {words(code)}." for code, fields in why.items()]


def _used(rows: Sequence[Row]) -> list[str]:
    """What MFU and MBU are of, and when they cannot be right."""
    known = [row for row in rows if row["mfu"] is not None or row["mbu"] is not None]
    if not known:
        return []
    peaks = listed(list(dict.fromkeys(f"{row['precision']}, {row['peak_source']}" for row in known)))
    above = any((row[name] or 0) > 1 for row in known for name in ("mfu", "mbu"))
    return [
        "MFU: FLOPs executed / (makespan × dense peak). MBU: bytes that had to move / (makespan × bandwidth); calls that decode side by "
        f"side share their passes over the weights. Peaks: {peaks}." + (f" {ABOVE}" if above else "")
    ]


def names(row: Row, rows: Sequence[Row]) -> dict[str, str]:
    """What tells the row's line of loads from the others."""
    differ = [name for name in APART if len({str(one[name]) for one in rows}) > 1]
    return {name: str(row[name]) for name in differ} or {"strategy": str(row["strategy"])}


def _pair(row: Mapping[str, float | None], name: str, scale: float = 1.0) -> str:
    half, most = row[f"{name}_p50"], row[f"{name}_p99"]
    return MISSING if half is None or most is None else f"{number(scale * half)} / {number(scale * most)}"


def _share(value: float | None) -> str:
    return MISSING if value is None else number(100 * value)


def _joules(row: Row) -> str:
    value = row["steady_j_per_token"]
    doubt = "" if row["steady_valid"] else "~" if row["steady_source"] == "estimated" else "?"
    return MISSING if value is None else doubt + number(1000 * value)
