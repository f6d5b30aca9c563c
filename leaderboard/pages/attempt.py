"""One attempt: what was asked, what came, how it was judged, what it was charged. Texts of models are only ever shown as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from leaderboard import data, links, words
from results.reasons import words as explained
from results.wording import MISSING

LEDGER = ("role", "model", "kind", "calls", "prompt", "cached", "output", "reasoning", "scored", "energy_j", "device_s")


def page() -> None:
    """The page of one attempt."""
    number = links.number("Attempt", "attempt")
    told = data.attempt(number)
    st.markdown(f"### {words.markdown(told['label'])}")
    st.caption(words.markdown(f"attempt {number} · problem {told['problem']['key']} · trial {told['trial']} · series {told['series']}"))
    links.link("Cell", f"its cell: {told['cell']}", icon=":material/arrow_back:", cell=f"{told['cell']}@{told['series']}")
    _judgement(told)
    _problem(told)
    text("Answer", told["answer"]["text"] or "(no text)")
    if told["answer"]["items"] is not None:
        text("Decided by the strategy", _joined(told["answer"]["items"]))
    if told["error"]:
        text("Error", told["error"])
    _samples(told)
    _charged(told)
    st.markdown("#### The same again")
    st.code(told["command"] or MISSING, language=None, wrap_lines=True)


def text(title: str, content: str) -> None:
    """A text under its title, exactly as it is stored."""
    st.markdown(f"#### {words.markdown(title)}")
    st.code(content, language=None, wrap_lines=True)


def _judgement(told: Mapping[str, Any]) -> None:
    for judged in told["judgements"]:
        right = judged["outcomes"] and all(outcome == "correct" for outcome in judged["outcomes"])
        scores = ", ".join(f"{name} {value:g}" for name, value in judged["scores"].items())
        said = f"{_joined(judged['outcomes'])} · extracted: {_joined(judged['extracted'])} · gold: {_joined(told['problem']['gold'])}"
        (st.success if right else st.warning)(words.markdown(said), icon=":material/gavel:")
        old = "" if judged["current"] else " · no longer the current judge"
        st.caption(words.markdown(f"judge {judged['judge']}{old}{' · scores: ' + scores if scores else ''}"))


def _problem(told: Mapping[str, Any]) -> None:
    text("Question", told["problem"]["question"])
    meta = {k: v for k, v in told["problem"]["meta"].items() if v not in (None, "")}
    if meta:
        st.code(words.tree(meta), language=None, wrap_lines=True)
    if told["prompt"] is not None:
        with st.expander("The whole prompt", expanded=False):
            st.code(told["prompt"], language=None, wrap_lines=True)


def _samples(told: Mapping[str, Any]) -> None:
    samples: Sequence[Mapping[str, Any]] = told["samples"]
    st.markdown(f"#### {len(samples)} engine call{'s' if len(samples) != 1 else ''}")
    for n, sample in enumerate(samples, start=1):
        chosen = " · chosen" if sample["charged"]["chosen"] else ""
        tokens = f"{sample['prompt_tokens']} prompt, {sample['output_tokens']} output tokens"
        title = f"{n}. {sample['kind']} by {sample['role']} · {tokens} · {sample['finish']}{chosen}"
        with st.expander(words.markdown(title), expanded=len(samples) == 1):
            if sample["prompt"] != told["prompt"]:
                st.caption("its prompt")
                st.code(sample["prompt"], language=None, wrap_lines=True)
            st.code(sample["text"], language=None, wrap_lines=True)
            joules = "" if sample["energy_j"] is None else f" · {sample['energy_j']:.4g} J"
            st.caption(words.markdown(f"seed {sample['seed']} · charged {sample['charged']['output']} output tokens{joules}"))


def _charged(told: Mapping[str, Any]) -> None:
    import pandas as pd

    st.markdown("#### Charged")
    parts = ("flop_linear", "flop_attention", "flop_head")
    lines = [
        {name: row[name] for name in LEDGER} | {"flop": None if any(row[p] is None for p in parts) else sum(row[p] for p in parts)}
        for row in told["ledger"]
    ]
    short = {name: st.column_config.NumberColumn(name, format="%.4g") for name in ("energy_j", "device_s", "flop")}
    st.dataframe(pd.DataFrame(lines, columns=[*LEDGER, "flop"]), hide_index=True, column_config=short)
    seconds = MISSING if told["latency_s"] is None else f"{told['latency_s']:.3f} s"
    joules = (
        explained(told["energy_code"] or "unsettled") if told["energy_j"] is None else f"{told['energy_j']:.4g} J ({told['energy_source']})"
    )
    st.caption(
        words.markdown(f"latency {seconds} · {told['serial_tokens']} serial tokens · energy: {joules} · {words.when(told['started'])}")
    )
    for field, code in told["codes"].items():
        st.caption(words.markdown(f"{field}: {explained(code)}"))


def _joined(values: Sequence[Any] | None) -> str:
    return ", ".join("none" if v is None else str(v) for v in values or ()) or "none"
