"""Writes docs/strategies.md: every strategy as its declaration has it, with the point that was measured of it, where one is published.

`python docs/strategies.py` writes the page, `--check` only says whether it is what it would write. Measured points come from the records
under results/published/, whose cells `bench report NAME --format json` printed.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from harness.strategy import Strategy, strategies  # noqa: E402

PAGE = ROOT / "docs" / "strategies.md"
PUBLISHED = ROOT / "results" / "published"
HEAD = """# Strategies

Every inference strategy of this repository, {count} of them, from its declaration: `python docs/strategies.py` writes this page. Their
code is under [harness/strategies](../harness/strategies), a file a family; `bench list strategies` prints the same. Needs are capabilities
of the engine (`logprobs`, `prefix`, …) and roles (`reward`, `helper`, …); a cell whose engine lacks one is skipped with the reason.

*Pool*: what stored samples can answer: `full`, everything; `first stage`, its samples but not what it asks about them; `no`, nothing.
Strategies with the same prompt share a pool, so a grid of them spends hardly more than its largest member.

*Cost*: calls of one attempt, with default parameters. *Measured*: accuracy with its 95 % interval and output tokens per item on
{source}.
"""
NOWHERE = "the reference models, where it was run"


def page() -> str:
    """The whole page."""
    found = [strategies.get(name) for name in strategies.names()]
    points, source = measured()
    families: dict[str, list[Strategy]] = {}
    for one in found:
        families.setdefault(one.family, []).append(one)
    lines = [HEAD.format(count=len(found), source=source or NOWHERE)]
    for family, members in sorted(families.items()):
        lines += ["", f"## {family[0].upper()}{family[1:]}", "", "| strategy | paper | what it does | needs | pool | cost | measured |"]
        lines += ["| --- | --- | --- | --- | --- | --- | --- |", *(row(one, points) for one in members)]
    return "\n".join(lines) + "\n"


def row(one: Strategy, points: Mapping[str, str]) -> str:
    needs = ", ".join(f"`{need}`" for need in sorted(one.needs)) or "–"
    first = re.sub(r"\s+", " ", inspect.cleandoc(one.doc).split("\n\n")[0]).replace("|", "\\|")
    return f"| `{one.name}` | {paper(one.paper)} | {first} | {needs} | {one.pool} | {cost(one)} | {points.get(one.name, '–')} |"


def paper(name: str) -> str:
    number = name.removeprefix("arXiv:")
    return f"[{number}](https://arxiv.org/abs/{number})" if name.startswith("arXiv:") else name or "–"


def cost(one: Strategy) -> str:
    """What one attempt takes by its declaration, in words."""
    parts = []
    if isinstance(one.budget, str):
        parts.append(f"{one.budget} = {one.parameters.model_fields[one.budget].default} samples at most")
    elif one.budget:
        parts.append("1 sample" if one.budget == 1 else f"{one.budget} samples")
    if one.pool != "full":
        parts.append("further calls" if parts else "calls of its own")
    if "prompt_logprobs" in one.needs:
        parts.append("scored texts")
    parts += [f"{role} model" for role in one.roles if role != "judge"]
    return " + ".join(parts) + (", one problem after another" if one.memory else "")


def measured() -> tuple[dict[str, str], str]:
    """The published point of each strategy, and where it was measured: the first published record that has it."""
    points: dict[str, str] = {}
    sources: list[str] = []
    for record in sorted(PUBLISHED.glob("*/strategies.json")):
        content = json.loads(record.read_text())
        sources.append(f"{content['model']}, {content['task']} ({content['experiment']})")
        for name, text in points_of(content["cells"]):
            points.setdefault(name, text)
    return points, " and ".join(sources)


def points_of(cells: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for cell in cells:
        low, high = 100 * cell["accuracy_low"], 100 * cell["accuracy_high"]
        label = "" if "(" not in cell["strategy"] else f" with `{cell['strategy'].partition('(')[2].removesuffix(')')}`"
        tokens = f"{cell['output_tokens']:,.0f} tokens"
        yield cell["strategy"].partition("(")[0], f"{100 * cell['accuracy']:.1f} % ({low:.1f}–{high:.1f}), {tokens}{label}"


if __name__ == "__main__":
    made = page()
    if "--check" not in sys.argv:
        PAGE.write_text(made)
    elif not PAGE.exists() or PAGE.read_text() != made:
        sys.exit("docs/strategies.md is not what `python docs/strategies.py` writes; run it")
