"""Tasks of your own: one file of rows, or a data set of the hub at a pinned commit, a template for the question, the answer's field.

`{kind: custom, …}` in an experiment, or the same in a YAML file that stands for the task: `tasks: [./mine.yaml]`; docs/tasks.md.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Formatter
from typing import Any

import tasks.registry as registry
from perpass import yaml_lines
from perpass.errors import UserError, nearest, unknown
from tasks import answers, data, rows
from tasks.boxed import ANSWER_FORMAT, BoxedTask
from tasks.normal import tidy
from tasks.numbers import number
from tasks.registry import CUSTOM, task
from tasks.types import Problem

VERSION = 1
_HUB = re.compile(r"[\w.-]+/[\w.-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")
Rows = Sequence[tuple[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class _Making:
    """How a row becomes a problem: parameters of `custom`."""

    question: str
    answer: str
    answer_format: str
    grader: str
    key: str | None
    category: str | None


@task(CUSTOM)
def custom(
    data: str,
    question: str,
    answer: str,
    name: str | None = None,
    answer_format: str = ANSWER_FORMAT,
    grader: str = "default",
    key: str | None = None,
    category: str | None = None,
    revision: str | None = None,
    config: str | None = None,
    split: str | None = None,
    sha256: str | None = None,
) -> BoxedTask:
    r"""A task of your own: rows of a file (.jsonl, .json, .csv, .tsv, .parquet) or of a data set of the hub (`owner/name`).

    `question`: a template with fields in braces, `{country}`; `{{` stands for a brace. `answer`: the field of the gold answer; of one that
    marks it (`#### 5`, `\boxed{5}`), what is marked. `grader`: see tasks.answers; with `number` the last number of a reply without a marked
    answer counts. `key`, `category`: fields of the problems' ids (else row numbers) and of what the order is balanced over.

    A file is looked for here, then in the data folder, and is identified by its content, `sha256`. A data set of the hub needs
    `revision`, a commit, and may need `config` and `split` (else `test`). Raises UserError for what does not fit, and for missing data.
    """
    making = _Making(question, answer, answer_format, grader, key, category)
    name = Path(data).stem if name is None else name
    if not name.strip() or name in registry.tasks.names():
        raise UserError(f"task {CUSTOM!r}: name is {name!r}, " + ("the name of another task; give it another" if name else "expected text"))
    _check_template(question)
    spec = {"kind": CUSTOM, "name": name, **asdict(making)}
    if Path(data).suffix.lower() in rows.FORMATS:
        for one, value in (("revision", revision), ("config", config), ("split", split)):
            if value is not None:
                raise UserError(f"task {CUSTOM!r}: {one} is for a data set of the hub; {data} is a file")
        digest = sha256 or _digest(_found(data))
        spec |= {"data": Path(data).name, "sha256": digest}

        def load() -> tuple[Sequence[Problem], str]:
            return _problems(_from_file(data, digest), "row", making), f"local-{digest[:12]}"
    else:
        commit, part = _checked_hub(data, revision, sha256), split or "test"
        spec |= {"data": data, "revision": commit, "config": config, "split": part}

        def load() -> tuple[Sequence[Problem], str]:
            return _problems(_from_hub(data, config, part, commit), part, making), commit

    return BoxedTask(name=name, version=VERSION, spec=spec, load=load, numeric=grader == "number", grader=grader)


def from_file(path: str, given: Mapping[str, Any]) -> BoxedTask:
    """The task of a YAML file that holds parameters of `custom`; those in `given` come before them.

    Its name is by default the file's, and `data` is looked for from where the file is. Raises UserError with the file, and the line.
    """
    file = Path(path).expanduser()
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = f"no such file in {Path.cwd()}" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
        raise UserError(f"{path}: {why}") from error
    written, places = yaml_lines.read(text, path, "a task has at least data, question and answer", "data: mine.jsonl")
    if written.pop("kind", CUSTOM) != CUSTOM:
        raise UserError(f"{places.where(('kind',))}: kind: expected {CUSTOM}, or leave it out")
    for name, value in written.items():
        with _at(places.where((name,))):
            registry.check(CUSTOM, name, value)
            if name in CHECKS:
                CHECKS[name](value)
    if Path(written.get("data", "")).suffix.lower() in rows.FORMATS:
        written["data"] = str(file.parent / Path(written["data"]).expanduser())
    with _at(path):
        return custom(**registry.complete(CUSTOM, {"name": file.stem, **written, **given}))


@contextmanager
def _at(place: str) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise UserError(f"{place}: {error}") from None


def _check_template(question: str) -> None:
    try:
        parts = list(Formatter().parse(question))
    except ValueError as error:
        raise UserError(f"task {CUSTOM!r}: question: {error}; write {{{{ or }}}} for a brace that is no field's") from None
    fields = [(field, form, conversion) for _, field, form, conversion in parts if field is not None]
    if not fields:
        raise UserError(f"task {CUSTOM!r}: question names no field of the data; write one in braces, such as {{question}}")
    for field, form, conversion in fields:
        if not field or form or conversion:
            raise UserError(f"task {CUSTOM!r}: question: a field is written {{name}}, and {{{{ or }}}} for a brace that is no field's")


CHECKS: Mapping[str, Callable[[str], object]] = {"question": _check_template, "grader": answers.grader}


def _checked_hub(name: str, revision: str | None, sha256: str | None) -> str:
    """The commit. Raises UserError for what names no data set at one."""
    if not _HUB.fullmatch(name):
        raise UserError(
            f"task {CUSTOM!r}: data is {name!r}, expected a file ({', '.join(rows.FORMATS)}) or a data set of the hub as owner/name"
        )
    if revision is None or not _COMMIT.fullmatch(revision):
        got = "" if revision is None else f", not {revision!r}: branches and tags move"
        raise UserError(f"task {CUSTOM!r}: data set {name} needs a revision, a commit of 40 hex digits{got}")
    if sha256 is not None:
        raise UserError(f"task {CUSTOM!r}: sha256 is for a file; a data set of the hub is identified by its revision")
    return revision


def _found(name: str) -> Path:
    """The file called `name`, here or in the data folder. Raises UserError with the nearest name."""
    here, folder = Path(name).expanduser(), data.data_dir()
    places = [here] if folder is None or here.is_absolute() else [here, folder / here]
    for path in places:
        if path.is_file():
            return path
    beside = {p.name for path in places if path.parent.is_dir() for p in path.parent.iterdir() if p.suffix.lower() in rows.FORMATS}
    close = nearest(here.name, beside)
    hint = f"did you mean {close!r}?" if close else "--data or PERPASS_DATA may name the folder that holds it"
    raise UserError(f"{' and '.join(map(str, places))}: no such file; {hint}")


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error}") from error


def _from_file(name: str, digest: str) -> Rows:
    path = _found(name)
    found = _digest(path)
    if found != digest:
        raise UserError(f"{path}: its content is not what was asked: its sha256 is {found[:12]}…, expected {digest[:12]}…")
    return rows.read(path)


def _from_hub(name: str, config: str | None, split: str, revision: str) -> Rows:
    source = data.Source("", name, config, split, revision, (), 0, "")
    return data.from_hub(source, "download it and name the file instead")


def _problems(table: Rows, part: str, making: _Making) -> list[Problem]:
    made: dict[str, tuple[str, Problem]] = {}
    for index, (place, row) in enumerate(table):
        problem = _problem(f"{part}/{index}", place, row, making)
        if problem.key in made:
            raise UserError(f"{place}: {making.key} {problem.key!r} is that of {made[problem.key][0]}, too")
        made[problem.key] = (place, problem)
    return [problem for _, problem in made.values()]


def _problem(key: str, place: str, row: Mapping[str, Any], making: _Making) -> Problem:
    def cell(field: str, use: str) -> str:
        if field not in row:
            raise unknown("field", field, map(str, row), f"{place}: {use}")
        text = rows.as_text(row[field])
        if text is None or (use != "question" and not text.strip()):
            raise UserError(f"{place}: {use}: the field {field!r} holds no text or number")
        return text

    parts = Formatter().parse(making.question)
    question = "".join(literal + ("" if field is None else cell(field, "question")) for literal, field, _, _ in parts)
    written = cell(making.answer, "answer")
    gold = (answers.explicitly_marked(written) or written).strip()
    if making.grader == "number" and number(tidy(gold)) is None:
        raise UserError(f"{place}: answer: {gold[:60]!r} is no number, as grader: number has it")
    return Problem(
        key=key if making.key is None else cell(making.key, "key"),
        question=question.strip(),
        answer_format=making.answer_format,
        gold=(gold,),
        meta={} if making.category is None else {"category": cell(making.category, "category")},
    )
