"""Which cell to take: the answer in a sentence, and the picture of who gives how much for what."""

from __future__ import annotations

import math
from collections.abc import Sequence

import streamlit as st

from leaderboard import data, frontier, links, picking, words
from results import advice, axes
from results.reasons import words as explained
from results.report import Row
from results.wording import listed

COLOUR_BY = ("model", "strategy", "engine", "hardware")


def page() -> None:
    """The page of frontiers."""
    found = data.catalogue()
    series, task = picking.series_and_task(found)
    answer, drawing = st.container(), st.container()
    known = data.rows(series, task)
    wanted = _wanted(known)
    rows = data.rows(series, task, (wanted.y, wanted.x))
    with answer:
        say(rows)
    kept = picking.filters(rows)
    with drawing:
        _draw(kept, wanted)
    _below(kept, rows, wanted)


def say(rows: Sequence[Row]) -> None:
    """The answer, in the words of `bench report`."""
    said = advice.sentences(rows)
    if not said:
        only = rows[0]
        said = [f"One cell: {only['strategy']} of {only['model']}, accuracy {words.interval(only)}."]
    st.markdown(f"##### {words.sentence(said[0])}")
    for more in said[1:]:
        st.caption(words.sentence(more))


def _wanted(rows: Sequence[Row]) -> frontier.Wanted:
    """The choices below the picture."""
    fields = list(words.AXES)
    with st.expander("Axes, scales and colours", expanded=True):
        left, right, third = st.columns(3)
        with left:
            x = links.choose("Across", fields, "x", "flop", format_func=words.AXES.__getitem__)
            log_x = links.switch("Logarithmic", "log_x", not axes.is_share(x))
        with right:
            y = links.choose("Up", fields, "y", "accuracy", format_func=words.AXES.__getitem__)
            log_y = links.switch("Logarithmic, upwards", "log_y", False)
        with third:
            differ = [name for name in COLOUR_BY if len({row[name] for row in rows}) > 1]
            colour = links.choose("Colour", COLOUR_BY, "colour", differ[0] if differ else "strategy")
            intervals = links.switch("95 % intervals", "intervals", True)
    return frontier.Wanted(x, y, log_x, log_y, colour, intervals)


def _draw(rows: Sequence[Row], wanted: frontier.Wanted) -> None:
    if wanted.x == wanted.y:
        st.info("Both axes show the same; choose two different ones.")
        return
    if not frontier.drawable(rows, wanted):
        st.info("Nothing to draw: no complete cell has a value on both axes. The reasons are below.")
        return
    for field in (wanted.x, wanted.y):
        if all(math.isinf(row[field]) for row in frontier.drawable(rows, wanted)):
            why = "each left a problem unsolved in all its trials" if "of_pass" in field else "none gave a correct answer"
            st.info(f"Nothing to draw: {words.AXES[field]} is infinite for every cell, since {why}.")
            return
    said = f"{words.AXES[wanted.y]} against {words.AXES[wanted.x]}, {sum(r['frontier'] for r in rows)} cells on the frontier"
    chart = frontier.figure(rows, wanted, numbered=True)
    event = st.plotly_chart(chart, key="picture", on_select="rerun", selection_mode="points", config=frontier.CONFIG, alt=said)
    points = [p for p in event["selection"]["points"] if p.get("customdata")]
    if points:
        _, name, series = list(points[0]["customdata"])[:3]
        row = next(r for r in rows if r["cell"] == name)
        links.link("Cell", f"Open {words.Writer(rows).name(row)} ({name})", icon=":material/open_in_new:", cell=f"{name}@{series}")


def _below(rows: Sequence[Row], every: Sequence[Row], wanted: frontier.Wanted) -> None:
    """Who is on the frontier, with links, and what is not drawn and why."""
    writer = words.Writer(every)
    on = frontier.on_it(rows, wanted)
    if on:
        st.markdown(f"**On the frontier** of {words.AXES[wanted.y]} and {words.AXES[wanted.x]}, the least first")
        for n, row in enumerate(on, start=1):
            text = f"{n}. {writer.name(row)}: {writer.value(wanted.y, row)}, {writer.value(wanted.x, row)}"
            links.link("Cell", text, cell=f"{row['cell']}@{row['series']}")
    for code, absent in frontier.left_out(rows, wanted).items():
        names = listed([writer.name(row) for row in absent])
        st.caption(words.markdown(f"Not drawn: {names} ({explained(code)})"))
    if len(rows) < len(every):
        st.caption(f"{len(every) - len(rows)} cells are hidden by the filters; the frontier is that of all cells.")
