"""A comparison as JUnit XML, which continuous integration shows as test results: one test case per cell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from results.compare import Comparison, Pair, Row
from results.compare_text import name, sentence
from results.files import write_whole
from results.gate import Check
from results.reasons import words

SUITE = "perpass"
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(path: str | Path, comparison: Comparison, checks: Sequence[Check]) -> None:
    """Write the file whole or not at all. Raises UserError, one sentence, when it cannot be written there."""
    write_whole(path, document(comparison, checks, datetime.now(UTC)), "--junit")


def document(comparison: Comparison, checks: Sequence[Check], made: datetime) -> bytes:
    """The file's content, valid by the schemas of Ant and of Jenkins. `made`: when it was compared.

    A cell that alarms is a failure; one that is compared with nothing, or of which nothing could be judged, is skipped with the reason;
    every other passes. What was found of each stands in the suite's `system-out`, since Ant's schema allows no output in a test case.
    """
    suite = ElementTree.Element("testsuite", name=SUITE, package=SUITE, id="0", hostname="localhost", time="0")
    properties = ElementTree.SubElement(suite, "properties")
    for side in ("base", "head"):
        ElementTree.SubElement(properties, "property", name=side, value=_plain(getattr(comparison, side)))
    told = []
    for pair in comparison.pairs:
        told.append(_judged(_case(suite, pair.row, pair.row["base_cell"]), pair, [check for check in checks if check.pair is pair]))
    for row in comparison.unpaired:
        case = _case(suite, row, f"{row['cell']}, only {row['side']}")
        ElementTree.SubElement(case, "skipped", message=_plain(f"{row['side']}: {words(row['reason'])}"))
    counts = {"tests": "testcase", "failures": "testcase/failure", "errors": "testcase/error", "skipped": "testcase/skipped"}
    for key, path in counts.items():
        suite.set(key, str(len(suite.findall(path))))
    suite.set("timestamp", made.strftime("%Y-%m-%dT%H:%M:%S"))
    ElementTree.SubElement(suite, "system-out").text = _plain("\n".join(told))
    ElementTree.SubElement(suite, "system-err")
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _case(suite: ElementTree.Element, row: Row, cell: str) -> ElementTree.Element:
    told = {"classname": _plain(f"{SUITE}.{row['task']}"), "name": _plain(f"{name(row)} ({cell})"), "time": "0"}
    return ElementTree.SubElement(suite, "testcase", told)


def _judged(case: ElementTree.Element, pair: Pair, checks: Sequence[Check]) -> str:
    """Put the result into the test case; returns what was found of the cell."""
    alarmed = [sentence(check) for check in checks if check.alarm]
    if alarmed:
        ElementTree.SubElement(case, "failure", type="regression", message=_plain("; ".join(alarmed))).text = _plain("\n".join(alarmed))
    elif checks and all(check.p is None for check in checks):
        ElementTree.SubElement(case, "skipped", message=_plain("; ".join(sentence(check) for check in checks)))
    accuracy = " → ".join(f"{100 * pair.row[f'{side}_accuracy']:.1f} %" for side in ("base", "head"))
    return f"{case.get('name')}: {'; '.join(sentence(check) for check in checks) or f'accuracy {accuracy}'}"


def _plain(text: str) -> str:
    """Without what XML cannot hold."""
    return NOT_XML.sub("�", text)
