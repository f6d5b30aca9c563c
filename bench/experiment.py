"""The experiment file: what it may say, read with line numbers so that a mistake is one clear sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.anchors import KEYS as ANCHOR_KEYS
from bench.anchors import Anchor, kept
from perpass.errors import UserError, nearest, unknown
from perpass.yaml_lines import Loc, Source, parse, read, said

SHIPPED = Path(__file__).parent / "experiments"


class Content(BaseModel):
    """What an experiment file holds. Entries of its lists are resolved later, by `bench.plan`; here they are only names or mappings."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field("adhoc", min_length=1, max_length=200)
    models: list[Any] = Field(default_factory=list)
    engines: list[Any] = Field(default_factory=lambda: ["transformers"], min_length=1)
    tasks: list[Any] = Field(min_length=1)
    strategies: list[Any] = Field(min_length=1)
    roles: dict[str, dict[str, Any]] = Field(default_factory=dict)
    sampling: dict[str, Any] = Field(default_factory=dict)
    trials: int = Field(1, ge=1, le=100_000)
    limit: int | None = Field(None, ge=1)
    mode: Literal["pooled", "live"] = "pooled"
    concurrency: list[int] = Field(default_factory=list)
    rate: list[float] = Field(default_factory=list)
    seed: int = Field(0, ge=0, lt=2**63)
    series: str = Field("main", min_length=1, max_length=200)
    trust_remote_code: bool = False
    anchors: list[Anchor] = Field(default_factory=list)


KEYS = list(Content.model_fields)


@dataclass(frozen=True)
class Overrides:
    """What the command line (or `bench.run`) changes about an experiment. Lists replace lists; `sets` are `key=value` with dotted keys."""

    models: Sequence[Any] = ()
    tasks: Sequence[Any] = ()
    strategies: Sequence[Any] = ()
    engines: Sequence[Any] = ()
    limit: int | None = None
    series: str | None = None
    sets: Sequence[str] = ()


@dataclass(frozen=True)
class Experiment:
    """A checked experiment, the places its values were written at, and the mapping and text that reproduce it."""

    content: Content
    source: Source
    raw: Mapping[str, Any]
    written: str | None = None  # the file's own text, when nothing was changed about it

    @property
    def name(self) -> str:
        return self.content.name

    @cached_property
    def text(self) -> str:
        """The experiment as YAML, kept with every run."""
        return self.written if self.written is not None else yaml.safe_dump(dict(self.raw), sort_keys=False, allow_unicode=True)

    def where(self, *loc: str | int) -> str:
        return self.source.where(loc)


def shipped() -> list[str]:
    """The names of the experiments that come with PerPass."""
    return sorted(p.stem for p in SHIPPED.glob("*.yaml"))


def load(source: str | Path | Mapping[str, Any] | None, overrides: Overrides | None = None) -> Experiment:
    """Read, override and check an experiment: a path, a shipped name, a mapping, or None for what the overrides alone say (`adhoc`).

    Raises UserError, one sentence, for everything that is wrong with its form. Names in its lists are checked by `bench.plan.build`.
    """
    overrides = overrides or Overrides()
    written: str | None = None
    raw: dict[str, Any]
    if source is None:
        raw, places = {"name": "adhoc"}, Source("the command line")
    elif isinstance(source, Mapping):
        raw, places = _copy(source), Source("experiment")
    else:
        path = find(source)
        written = _text(path)
        name = str(path) if path.parent != SHIPPED else path.name
        raw, places = read(written, name, "an experiment has at least models, tasks and strategies", "tasks: [gsm8k]")
        raw.setdefault("name", path.stem)
    own = _copy(raw)
    if _apply(raw, places, overrides):
        written = None
    content = _check(raw, places)
    if content.anchors:
        left = kept(content.anchors, own, raw, places)
        content.anchors, raw["anchors"] = [content.anchors[i] for i in left], [raw["anchors"][i] for i in left]
    return Experiment(content, places, raw, written)


def find(name: str | Path) -> Path:
    """The file that an experiment's name or path stands for. Raises UserError naming the nearest shipped one."""
    path = Path(name)
    if path.is_dir():
        raise UserError(f"{name}: expected an experiment file, but this is a folder")
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        if not path.is_file():
            raise UserError(f"{name}: no such file")
        return path
    if str(name) in shipped():
        return SHIPPED / f"{name}.yaml"
    if "/" in str(name):
        raise UserError(f"{name}: no such file")
    raise unknown("experiment", name, shipped())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file in UTF-8") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def _copy(value: Any) -> Any:
    """A deep copy in plain lists and dicts, so that an experiment from Python behaves like one from a file."""
    if isinstance(value, Mapping):
        return {str(k): _copy(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copy(v) for v in value]
    return value


def _apply(raw: dict[str, Any], places: Source, overrides: Overrides) -> bool:
    """Write the overrides into `raw`; True when anything changed."""
    changed = False
    for key, flag in (("models", "--model"), ("tasks", "--task"), ("strategies", "--strategy"), ("engines", "--engine")):
        values = list(getattr(overrides, key))
        if values:
            raw[key] = values
            places.replace((key,), flag)
            for i, value in enumerate(values):
                places.replace((key, i), f"{flag} {value}" if isinstance(value, str) else flag)
            changed = True
    for key in ("limit", "series"):
        if (given := getattr(overrides, key)) is not None:
            raw[key] = given
            places.replace((key,), f"--{key} {given}")
            changed = True
    for text in overrides.sets:
        _set(raw, places, text)
        changed = True
    return changed


def _set(raw: dict[str, Any], places: Source, text: str) -> None:
    """One `key=value`: `trials=4`, `sampling.max_tokens=64`, `strategies.0.n=2`."""
    flag = f"--set {text}"
    key, equals, value = text.partition("=")
    steps = [int(s) if s.isdigit() else s for s in key.strip().split(".")]
    if not equals or "" in steps:
        raise UserError(f"{flag}: expected key=value, such as sampling.max_tokens=64")
    if steps[0] not in KEYS:
        raise unknown("key", steps[0], KEYS, flag)
    here: Any = raw
    for i, step in enumerate(steps[:-1]):
        if isinstance(here, dict) and isinstance(step, str):
            here = here.setdefault(step, {})
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            if isinstance(here[step], str):
                from bench.entries import entry

                here[step] = entry(here[step], flag, "id" if steps[0] == "models" else "kind")
            here = here[step]
        else:
            raise UserError(f"{flag}: there is no {'.'.join(map(str, steps[: i + 1]))} in the experiment")
    last = steps[-1]
    if isinstance(here, dict):
        here[str(last)] = parse(value)
    elif isinstance(here, list) and isinstance(last, int) and last < len(here):
        here[last] = parse(value)
    else:
        raise UserError(f"{flag}: there is no {key} in the experiment")
    places.replace(tuple(steps), flag)


def _check(raw: Mapping[str, Any], places: Source) -> Content:
    try:
        content = Content.model_validate(dict(raw))
    except ValidationError as error:
        # A misspelt key explains the one that is then missing, so it is told first.
        raise explain(min(error.errors(), key=lambda e: e["type"] != "extra_forbidden"), places) from None
    if content.mode == "live" and not (content.concurrency or content.rate):
        expected = "`concurrency`, such as concurrency: [32], or `rate`, problems a second"
        raise UserError(f"{places.where(('mode',))}: mode: live needs {expected}")
    for key in ("concurrency", "rate"):
        if content.mode == "pooled" and getattr(content, key):
            raise UserError(f"{places.where((key,))}: {key}: needs `mode: live`; pooled cells share one limit")
    for i, rate in enumerate(content.rate):
        if not 0 < rate <= 10_000:
            raise UserError(f"{places.where(('rate', i))}: rate: expected problems a second, above 0 and at most 10000, not {rate:g}")
    for i, value in enumerate(content.concurrency):
        if value < 1:
            raise UserError(f"{places.where(('concurrency', i))}: concurrency: expected at least 1, not {value}")
    return content


_EXPECTED = {
    "int_type": "a whole number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list, such as [{example}]",
    "dict_type": "a mapping",
    "float_type": "a number",
}
_EXAMPLES = {
    "models": "perpass/nano",
    "engines": "transformers",
    "tasks": "gsm8k",
    "strategies": "direct, cot",
    "concurrency": "32",
    "rate": "2.0",
}


def explain(error: Mapping[str, Any], places: Source) -> UserError:
    """One error of pydantic as one sentence: place, key, what was expected, the nearest valid name."""
    loc: Loc = tuple(error["loc"])
    key, kind, given, context = ".".join(map(str, loc)), error["type"], error["input"], error.get("ctx", {})
    where = places.where(loc)
    if kind == "extra_forbidden":
        return unknown("key", str(loc[-1]), ANCHOR_KEYS if loc[0] == "anchors" else KEYS, where)
    if loc[0] == "anchors" and kind in {"missing", "literal_error", "model_type"}:
        wrong = {"missing": f"missing key {loc[-1]!r}", "literal_error": f"{loc[-1]}: expected accuracy, not {said(given)}"}
        return UserError(f"{where}: anchor: {wrong.get(kind, f'expected a mapping, not {said(given)}')}")
    if kind == "missing":
        example = _EXAMPLES.get(key, "…")
        return UserError(f"{where}: missing key {key!r}; expected {key}: [{example}]")
    if kind == "literal_error":
        names = ["pooled", "live"]
        close = nearest(str(given), names)
        return UserError(f"{where}: {key}: expected pooled or live, not {said(given)}" + (f"; did you mean {close!r}?" if close else ""))
    if kind in _EXPECTED:
        expected = _EXPECTED[kind].format(example=_EXAMPLES.get(key, "…"))
    elif kind.startswith("greater_than"):
        expected = f"at least {context.get('ge', context.get('gt'))}"
    elif kind.startswith("less_than"):
        expected = f"at most {context.get('le', context.get('lt'))}"
    elif kind in {"too_short", "string_too_short"}:
        expected = "at least one entry" if kind == "too_short" else "some text"
    else:
        expected = str(error["msg"])
    return UserError(f"{where}: {key}: expected {expected}, not {'an empty list' if given == [] else said(given)}")
