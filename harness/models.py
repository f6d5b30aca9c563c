"""What must be known of a model before any of its weights is loaded: identity, architecture, context, chat template, think markers.

A model is named by a shipped name (`perpass/nano`), a folder, or a hub id. Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import known
from harness.engines import hub
from harness.engines.device import accelerator
from harness.types import Model
from perpass.errors import UserError, unknown
from perpass.identity import content_hash

SHIPPED = Path(__file__).parent / "reference"
PREFIX = "perpass/"
KEYS = ("id", "revision", "dtype", "think")
DTYPES = ("auto", "float32", "bfloat16", "float16")
THINK = ("<think>", "</think>")
CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "seq_length", "n_ctx")
POINTER = b"version https://git-lfs.github.com/spec/"
WHOLE = 2 * 2**30  # weights above this many bytes are hashed in part
PART = 2**20
JUDGING = ("ForTokenClassification", "ForSequenceClassification", "ForProcessRewardModel", "ForRewardModel")

_hashes: dict[tuple[tuple[str, int, int], ...], str] = {}


def shipped() -> list[str]:
    """The names of the models that come with PerPass, sorted."""
    return sorted(PREFIX + config.parent.name for config in SHIPPED.glob("*/config.json"))


def resolve(spec: str | Mapping[str, Any], *, trust_remote_code: bool = False, device: str = "auto", planning: bool = False) -> Model:
    """The model that `spec` names: a shipped name, a folder, a hub id, or a mapping with `id` and `revision`, `dtype`, `think`.

    revision  hub: pinned to a commit, the current one when none is given, which the result then carries; folder: a hash of the weights
    dtype     float32 | bfloat16 | float16; by default float32 on a CPU and the config's own (else bfloat16) on a GPU
    think     false for no think markers, or [open, close]; by default found in the chat template and the added tokens
    device    what the default dtype is for: auto | cpu | cuda
    planning  take a hub model whose files cannot be had here from the shipped table (`Model.facts` says so): enough to plan, not to run

    A hub model's small files are downloaded, its weights are not (see `weights`). Raises UserError for what cannot be found or run.
    """
    given = _checked(spec)
    name, revision = str(given["id"]), given.get("revision")
    if name.startswith(PREFIX):
        folder = SHIPPED / name.removeprefix(PREFIX)
        if not (folder / "config.json").is_file():
            raise unknown("model", name, shipped())
    elif Path(name).expanduser().is_dir():
        folder = Path(name).expanduser().resolve()
        name = folder.name
    elif _looks_like_path(name):
        raise UserError(f"model {name!r}: there is no such folder")
    else:
        if PREFIX + name in shipped():
            raise UserError(f"unknown model {name!r}; did you mean {PREFIX + name!r}?")
        try:
            folder, commit, files = hub.snapshot(name, None if revision is None else str(revision))
        except hub.Unavailable:
            if planning and (row := known.find(name, revision)):
                return _from_table(row, given, device)
            raise
        _need_weights(name, files)
        return _described(name, commit, folder, given, trust_remote_code, device)
    return _described(name, _folder_revision(folder, revision), folder, given, trust_remote_code, device)


def gives_rewards(model: Model) -> bool:
    """Whether the weights are made to judge texts, not to write them, by their config.json."""
    config = model.config or {}
    return "reward" in config or any(name.endswith(JUDGING) for name in config.get("architectures") or ())


def need_writer(model: Model) -> None:
    """Raises UserError for a model that cannot generate because it is a reward model."""
    if gives_rewards(model):
        raise UserError(f"model {model.name!r} is a reward model, which writes no answers: name it under `roles`, as `reward`")


def weights(model: Model) -> Path:
    """The folder that holds the model's weights, downloaded first if it is a hub model's and they are not there yet.

    Raises UserError when there are none or they cannot be fetched.
    """
    if model.path is None:
        raise UserError(f"model {model.name!r} has no local weights: a server holds them")
    folder = Path(model.path)
    if hub.is_snapshot(folder):
        hub.download_weights(model.name, model.revision)
    _weight_files(folder)
    return folder


def _checked(spec: str | Mapping[str, Any]) -> dict[str, Any]:
    """The mapping form of `spec`, its keys and simple values checked."""
    given: dict[str, Any] = {"id": spec} if isinstance(spec, str) else dict(spec) if isinstance(spec, Mapping) else {}
    for key in given:
        if key not in KEYS:
            raise unknown("key", key, KEYS, "model")
    if not isinstance(given.get("id"), str) or not given["id"].strip():
        raise UserError(f"model: expected a shipped name, a folder, a hub id, or a mapping with `id`, not {spec!r}")
    dtype = given.get("dtype", "auto")
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES, f"model {given['id']}")
    return given


def _looks_like_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name


def _described(name: str, revision: str, folder: Path, given: Mapping[str, Any], trust: bool, device: str) -> Model:
    config = _json(folder / "config.json", name)
    _runnable(name, config, trust)
    template = chat_template(folder)
    return Model(
        name=name,
        revision=revision,
        dtype=_dtype(str(given.get("dtype", "auto")), config, accelerator() if device == "auto" else device),
        path=str(folder),
        config=config,
        context=_context(config),
        think=_think(given, template, folder),
        template=content_hash(template) if template else "",
    )


def _from_table(row: known.Known, given: Mapping[str, Any], device: str) -> Model:
    """A model without its files: its chat template is not known, so it is not the model of a run."""
    return Model(
        name=row.name,
        revision=row.revision,
        dtype=_dtype(str(given.get("dtype", "auto")), row.config, accelerator() if device == "auto" else device),
        config=row.config,
        context=_context(row.config),
        think=_think(given, THINK[0] if row.think else "", None),
        facts=f"the shipped table, revision {row.revision[:7]}",
    )


def _json(path: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"model {name!r}: the folder {path.parent} has no {path.name}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"model {name!r}: {path} cannot be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise UserError(f"model {name!r}: {path} should hold a JSON object")
    return found


def _runnable(name: str, config: Mapping[str, Any], trust: bool) -> None:
    """A repository's own code runs only when told so. Many repositories carry code although transformers knows their architecture."""
    if trust or "auto_map" not in config:
        return
    library = importlib.util.find_spec("transformers")
    architecture = str(config.get("model_type", "")).replace("-", "_")
    if library and library.origin and (Path(library.origin).parent / "models" / architecture).is_dir() and architecture:
        return
    raise UserError(f"model {name!r} runs code of its own repository: allow it with trust_remote_code: true")


def _dtype(asked: str, config: Mapping[str, Any], device: str) -> str:
    if asked != "auto":
        return asked
    if not device.startswith("cuda"):
        return "float32"
    text = config.get("text_config") or {}
    stored = next((c[key] for c in (config, text) for key in ("dtype", "torch_dtype") if c.get(key)), None)
    return str(stored) if stored in DTYPES[1:] else "bfloat16"


def _context(config: Mapping[str, Any]) -> int | None:
    """Longest prompt + output; a composite config keeps it under `text_config`."""
    for part in (config, config.get("text_config") or {}):
        for key in CONTEXT_KEYS:
            if isinstance(part.get(key), int):
                return int(part[key])
    return None


def chat_template(folder: Path) -> str:
    """The default chat template of a model folder, or "" when it has none."""
    written = folder / "chat_template.jinja"
    if written.is_file():
        return written.read_text(encoding="utf-8")
    for name in ("chat_template.json", "tokenizer_config.json"):
        path = folder / name
        found = _json(path, folder.name).get("chat_template") if path.is_file() else None
        if isinstance(found, list):  # several, by name
            found = next((entry["template"] for entry in found if entry.get("name") == "default"), None)
        if found:
            return str(found)
    return ""


def _think(given: Mapping[str, Any], template: str, folder: Path | None) -> tuple[str, str] | None:
    asked = given.get("think")
    if asked is None:
        return THINK if any(mark in template for mark in THINK) or (folder and THINK[1] in _added_tokens(folder)) else None
    if isinstance(asked, bool):
        return THINK if asked else None
    if isinstance(asked, (list, tuple)) and len(asked) == 2 and all(isinstance(mark, str) and mark for mark in asked):
        return (asked[0], asked[1])
    raise UserError(f"model {given['id']}: think must be true, false or [open, close], not {asked!r}")


def _added_tokens(folder: Path) -> set[str]:
    """Tokens added to the vocabulary by name, from whichever file lists them."""
    config = folder / "tokenizer_config.json"
    decoder = _json(config, folder.name).get("added_tokens_decoder") if config.is_file() else None
    if decoder:
        return {entry["content"] for entry in decoder.values() if isinstance(entry, dict)}
    whole = folder / "tokenizer.json"
    if whole.is_file():
        return {entry["content"] for entry in _json(whole, folder.name).get("added_tokens", ())}
    return set()


def _need_weights(name: str, files: list[str] | None) -> None:
    """`files`: of a repository, None when only the local cache is known."""
    if files is not None and not any(hub.holds_weights(file) for file in files):
        raise UserError(f"model {name!r}: the repository has no weights (*.safetensors or *.bin)")


def _weight_files(folder: Path) -> list[Path]:
    """safetensors if there are any, else .bin files, by name. Raises UserError when there are none, or only git-lfs pointers."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and hub.holds_weights(p.name))
    files = [p for p in files if p.suffix == ".safetensors"] or files
    if not files:
        raise UserError(f"the model folder {folder} has no weights (*.safetensors or *.bin)")
    for path in files:
        if path.stat().st_size < 1024:
            with path.open("rb") as stream:
                if stream.read(len(POINTER)) == POINTER:
                    raise UserError(f"the model folder {folder} has a git-lfs pointer for {path.name}, not the weights; run `git lfs pull`")
    return files


def _folder_revision(folder: Path, asked: object) -> str:
    if not (folder / "config.json").is_file():
        raise UserError(f"the model folder {folder} has no config.json")
    found = weights_hash(_weight_files(folder))
    if asked is not None and str(asked) != found:
        raise UserError(f"the model folder {folder} has revision {found}, not {asked}")
    return found


def weights_hash(files: list[Path]) -> str:
    """`sha256:…` over names and contents; above 2 GB in all `partial-sha256:…` over name, size, first and last MB of each file."""
    stats = [(path, path.stat()) for path in files]
    known = tuple((str(path), stat.st_size, stat.st_mtime_ns) for path, stat in stats)
    if known not in _hashes:
        partial = sum(stat.st_size for _, stat in stats) > WHOLE
        digest = hashlib.sha256()
        for path, stat in stats:
            digest.update(f"{path.name}\0{stat.st_size}\0".encode())
            _feed(digest, path, stat.st_size, partial)
        _hashes[known] = ("partial-sha256:" if partial else "sha256:") + digest.hexdigest()
    return _hashes[known]


def _feed(digest: Any, path: Path, size: int, partial: bool) -> None:
    with path.open("rb") as stream:
        if partial:
            digest.update(stream.read(PART))
            stream.seek(max(0, size - PART))
            digest.update(stream.read(PART))
            return
        while block := stream.read(PART):
            digest.update(block)
