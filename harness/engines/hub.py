"""Models of the Hugging Face hub: their commit, their small files, their weights. Needs neither torch nor transformers."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from perpass.errors import UserError

SMALL = ["*.json", "*.jinja", "*.model", "*.txt", "*.tiktoken", "*.py"]
WEIGHTS = (".safetensors", ".bin")
NOT_WEIGHTS = {"training_args.bin", "optimizer.bin", "scheduler.bin", "random_states.bin"}
TIMEOUT_S = 20

T = TypeVar("T")


class Unavailable(UserError):
    """The files of a hub model cannot be had here: no network and no copy, no package to fetch them with, or terms not accepted."""


def holds_weights(file: str) -> bool:
    """Whether a file of a repository's or folder's top level holds weights, by its name."""
    return "/" not in file and file.endswith(WEIGHTS) and file not in NOT_WEIGHTS


def snapshot(name: str, revision: str | None) -> tuple[Path, str, list[str] | None]:
    """(folder with the small files, commit, the repository's files) of a hub model at `revision`, by default its current commit.

    When the hub cannot be reached, what the local cache has is taken, and the files are None. Raises UserError in one sentence, Unavailable
    where the model may well exist but its files cannot be had here.
    """
    library = _library()
    if re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) is None:
        raise UserError(f"model {name!r} is no shipped name, no folder and no hub id (organisation/name)")
    info = _reached(name, revision, lambda: library.HfApi().model_info(name, revision=revision, timeout=TIMEOUT_S))
    if info is None:
        folder = _cached(name, revision)
        return folder, folder.name, None
    files = [sibling.rfilename for sibling in info.siblings or ()]
    take = lambda: library.snapshot_download(name, revision=info.sha, allow_patterns=SMALL, ignore_patterns=["*/*"])  # noqa: E731
    found = _reached(name, info.sha, take)
    return Path(found) if found else _cached(name, info.sha), str(info.sha), files


def is_snapshot(folder: Path) -> bool:
    """Whether a folder is a commit in the hub's local cache."""
    return folder.parent.name == "snapshots" and folder.parent.parent.name.startswith("models--")


def download_weights(name: str, commit: str) -> None:
    """Complete a snapshot by its weights: the safetensors if the repository has them, else the .bin files. A no-op once they are there."""
    library = _library()
    folder = _cached(name, commit)
    if (folder / "model.safetensors").is_file() or (folder / "pytorch_model.bin").is_file():
        return
    info = _reached(name, commit, lambda: library.HfApi().model_info(name, revision=commit, timeout=TIMEOUT_S))
    if info is None:
        return  # offline: what is missing is said by whoever looks for the files
    wanted = [s.rfilename for s in info.siblings or () if holds_weights(s.rfilename)]
    wanted = [file for file in wanted if file.endswith(".safetensors")] or wanted
    _reached(name, commit, lambda: library.snapshot_download(name, revision=commit, allow_patterns=wanted))


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise Unavailable("models of the Hugging Face hub need the package huggingface_hub: pip install 'perpass[local]'") from None
    return huggingface_hub


def _reached(name: str, revision: str | None, ask: Callable[[], T]) -> T | None:
    """What the hub answers; None when it cannot be reached. Raises UserError for what it refuses."""
    from huggingface_hub import errors

    at = f" at revision {revision!r}" if revision else ""
    try:
        return ask()
    except errors.GatedRepoError:
        raise Unavailable(f"model {name!r} is gated: accept its terms on the hub and log in with `hf auth login`") from None
    except errors.RevisionNotFoundError:
        raise UserError(f"model {name!r} has no revision {revision!r} on the Hugging Face hub") from None
    except errors.RepositoryNotFoundError:
        _nowhere(name)
    except errors.HFValidationError:
        raise UserError(f"model {name!r} is no shipped name, no folder and no hub id (organisation/name)") from None
    except errors.HfHubHTTPError as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status is None or status >= 500 or status == 429:
            return None
        raise UserError(f"model {name!r}{at}: the Hugging Face hub refused it ({status})") from error
    except Exception as error:  # the hub's client lets those of whichever HTTP library it is built on through
        if isinstance(error, OSError) or type(error).__module__.partition(".")[0] in {"httpx", "httpx2", "httpcore", "requests", "urllib3"}:
            return None
        raise


def _nowhere(name: str) -> NoReturn:
    raise UserError(f"model {name!r} is neither a shipped name nor a folder, and the Hugging Face hub does not know it") from None


def _cached(name: str, revision: str | None) -> Path:
    """The snapshot that the local cache has."""
    try:
        return Path(_library().snapshot_download(name, revision=revision, local_files_only=True))
    except Exception as error:
        at = f" at revision {revision!r}" if revision else ""
        raise Unavailable(f"model {name!r}{at}: the Hugging Face hub cannot be reached and the local cache has no copy") from error
