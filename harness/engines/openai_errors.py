"""What a server's refusals and half-answers mean: worth another try, a prompt that is too long, or final."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from harness.types import PromptTooLong, TransportFault
from perpass.errors import PerPassError

PASSING = frozenset({408, 409, 425, 429})  # statuses below 500 that another try may overcome
FINAL = frozenset({501, 505})  # statuses from 500 on that it cannot
SHOWN = 400  # characters of a server's message that are kept

_TOO_LONG = re.compile(
    r"context_length_exceeded|context (length|window|size)|max_model_len|maximum (model|input|prompt|sequence) length"
    r"|(prompt|input)( is)? too long|reduce the length of|longer than the maximum",
    re.IGNORECASE,
)
_CONTEXT = re.compile(r"(?:context (?:length|window|size)|max_model_len|maximum model length)\D{0,40}?(\d+)", re.IGNORECASE)
_PROMPT = re.compile(
    r"(?:passed|has|contains(?: at least)?|resulted in)\s+(\d+)(?:\s+input)?\s+tokens"
    r"|(\d+)\s+(?:tokens\s+)?in the (?:messages|prompt|input)",
    re.IGNORECASE,
)


class Refused(PerPassError):
    """The server will not do what it was asked, now or later; `status` is HTTP's, or the code inside an error object."""

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


def failure(status: int, body: str, headers: Mapping[str, str], where: str) -> PerPassError:
    """The error that an answer with HTTP status `status` stands for. `where`: names the server; `body` must be free of secrets."""
    message = said(body)
    text = f"{where} answered {status}" + (f": {message}" if message else "")
    exhausted = status == 429 and "insufficient_quota" in body
    if not exhausted and (status in PASSING or (status >= 500 and status not in FINAL)):
        return TransportFault(text, retry_after(headers))
    if status in (400, 413, 422) and _TOO_LONG.search(body):
        return PromptTooLong(text)
    return Refused(text, status)


def error_object(found: Mapping[str, Any], where: str, scrub: Any) -> PerPassError | None:
    """The error inside a 200 answer, None when there is none. One without a code of its own is taken for a passing one."""
    inside = found.get("error") or (found if found.get("object") == "error" else None)
    if not inside:
        return None
    body = scrub(json.dumps(found))
    code = inside.get("code") if isinstance(inside, Mapping) else None
    if isinstance(code, str) and code.isdigit():
        code = int(code)
    if isinstance(code, int) and 400 <= code < 600:
        return failure(code, body, {}, where)
    if _TOO_LONG.search(body):
        return PromptTooLong(f"{where} said: {said(body)}")
    return TransportFault(f"{where} broke off with an error: {said(body)}")


def said(body: str) -> str:
    """The message in an error's body, on one line."""
    try:
        found = json.loads(body)
    except ValueError:
        found = body
    if isinstance(found, Mapping):
        inside = found.get("error", found)
        found = inside if not isinstance(inside, Mapping) else inside.get("message") or inside.get("detail") or body
    text = " ".join(str(found).split())
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by `Retry-After` (seconds or an HTTP date) or OpenAI's `retry-after-ms`; None when they say nothing usable."""
    for name, unit in (("retry-after-ms", 1e-3), ("Retry-After", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    wanted, said = _date(headers.get("Retry-After")), _date(headers.get("Date"))
    if wanted is None:
        return None
    return max(0.0, wanted - (time.time() if said is None else said))  # by the server's own clock, if it shows it


def _date(text: str | None) -> float | None:
    """An HTTP date in seconds since the epoch."""
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (TypeError, ValueError):
        return None


def lengths(message: str) -> tuple[int | None, int | None]:
    """(context, prompt) in tokens, as far as a message about a prompt that is too long names them."""
    context, prompt = _CONTEXT.search(message), _PROMPT.search(message)
    return (
        int(context[1]) if context else None,
        int(next(n for n in prompt.groups() if n)) if prompt else None,
    )
