"""Every state of a page is a link: choices stand in the address as query parameters and are restored from there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from leaderboard import words

PAGES: dict[str, Any] = {}
"""The app's pages by title, for links from one to another; filled by `leaderboard.app.script`."""

SHARED = ("series", "task")
CLICKS = ("single-row", "single-cell")


def here() -> dict[str, str]:
    """What links to other pages keep of this one's choices."""
    return {name: st.query_params[name] for name in SHARED if name in st.query_params}


def go(page: str, **parameters: object) -> None:
    """Open another page with these parameters."""
    st.switch_page(PAGES[page], query_params=here() | {k: str(v) for k, v in parameters.items()})


def link(page: str, label: str, icon: str | None = None, **parameters: object) -> None:
    """A link to another page; `label` is shown as it is."""
    st.page_link(PAGES[page], label=words.markdown(label), icon=icon, query_params=here() | {k: str(v) for k, v in parameters.items()})


def choose(label: str, options: Sequence[Any], key: str, default: Any = None, **more: Any) -> Any:
    """One of `options`, kept in the address as `key`."""
    first = default if default in options else options[0]
    named = {str(option): option for option in options}
    st.session_state[key] = named.get(st.query_params.get(key, ""), first)
    return st.selectbox(label, options, key=key, on_change=_keep, args=(key, first), **more)


def several(label: str, options: Sequence[Any], key: str, default: Sequence[Any] = (), **more: Any) -> list[Any]:
    """Some of `options`, kept in the address as `key`; none of them is `default`."""
    named = {str(option): option for option in options}
    wanted = [named[text] for text in st.query_params.get_all(key) if text in named]
    st.session_state[key] = wanted or list(default)
    return st.multiselect(label, options, key=key, on_change=_keep, args=(key, list(default)), **more)


def switch(label: str, key: str, default: bool) -> bool:
    """Yes or no, kept in the address as `key`."""
    st.session_state[key] = {"yes": True, "no": False}.get(st.query_params.get(key, ""), default)
    return st.toggle(label, key=key, on_change=_keep, args=(key, default))


def write(label: str, key: str, **more: Any) -> str:
    """A line of text, kept in the address as `key`."""
    st.session_state[key] = st.query_params.get(key, "")
    return st.text_input(label, key=key, on_change=_keep, args=(key, ""), **more)


def number(label: str, key: str) -> int:
    """A number from 1, kept in the address as `key`."""
    named = st.query_params.get(key, "")
    st.session_state[key] = int(named) if named.isdecimal() and 0 < int(named) < 2**53 else 1
    return int(st.number_input(label, min_value=1, step=1, key=key, on_change=_keep, args=(key, 1)))


def clicked(event: Any) -> int | None:
    """The row of a table in which a cell or the box before it was clicked, counted as the table was given; needs selection_mode=CLICKS."""
    chosen = [*event["selection"]["rows"], *(row for row, _ in event["selection"]["cells"])]
    return int(chosen[0]) if chosen else None


def _keep(key: str, default: Any) -> None:
    """After a choice: into the address, which every run reads it from. What is chosen anyway needs no place there."""
    value = st.session_state[key]
    if value == default:
        st.query_params.pop(key, None)
    elif isinstance(value, list):
        st.query_params[key] = [str(v) for v in value]
    else:
        st.query_params[key] = {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
