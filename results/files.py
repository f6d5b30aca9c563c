"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from perpass.errors import UserError


def write_whole(path: str | Path, content: str | bytes, flag: str = "") -> None:
    """Put `content` (text as UTF-8) into the file; whoever reads it meanwhile sees the old content or all of the new.

    Raises UserError, one sentence that begins with `flag`, when it cannot be written there.
    """
    target = Path(path)
    made = None
    try:
        handle, made = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        os.chmod(made, 0o644)
        os.replace(made, target)
    except OSError as error:
        if made is not None:
            Path(made).unlink(missing_ok=True)
        raise UserError(f"{flag} {path}: cannot be written: {(error.strerror or str(error)).lower()}".strip()) from None
