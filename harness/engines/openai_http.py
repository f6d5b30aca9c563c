"""The connection to an OpenAI-compatible server: one session, its connections reused, the key kept to itself, faults told apart."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any, NoReturn

import aiohttp

from harness.engines.clock import now
from harness.engines.openai_errors import Refused, error_object, failure, said
from harness.types import TransportFault
from perpass.errors import PerPassError

KEEP_ALIVE_S = 2.0  # uvicorn, and so vLLM, closes a connection idle for 5 s: even from a busy machine no request may meet its end
DRAIN_S = 1.0  # what the server may take to close a stream after its last event
PARTLY_READ = 2**16  # bytes of an error's body that are read


class Secret:
    """A key that shows itself to nobody but the server."""

    def __init__(self, value: str):
        self._value = value

    def __repr__(self) -> str:
        return "[key]"

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._value}"} if self._value else {}

    def scrub(self, text: str) -> str:
        """`text` with the key blotted out."""
        return text.replace(self._value, "[key]") if self._value else text


class Client:
    """Sends requests to the server at `base_url`.

    key          sent as a bearer token; replaced by `[key]` in every message that leaves this class
    key_env      the name to tell when the server rejects the key
    timeout_s    longest wait, in seconds, for a connection and between two pieces of an answer
    connections  most requests under way at once; a further one waits, and its time counts from when it is sent
    """

    def __init__(self, base_url: str, key: Secret, key_env: str | None, timeout_s: float, connections: int):
        self.base_url, self._key, self._key_env, self._timeout_s = base_url, key, key_env, timeout_s
        self.where = f"the server at {base_url}"
        self._slots = asyncio.Semaphore(connections)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=KEEP_ALIVE_S),
            headers=key.headers(),
            # No total: an answer takes as long as it takes. No `connect` either: the slots are what requests wait for.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeout_s, sock_read=timeout_s),
        )

    async def close(self) -> None:
        await self._session.close()

    def send(self, path: str, body: dict[str, Any] | None = None) -> Exchange:
        """A request to be entered with `async with`: POST with a body, else GET. `path` is relative to base_url, or begins with /."""
        base = self.base_url.removesuffix("/v1") if path.startswith("/") else self.base_url + "/"
        return Exchange(self, base + path, body)

    async def json(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The whole answer. Raises as `Exchange`."""
        async with self.send(path, body) as exchange:
            return await exchange.json()

    # -- inside ----------------------------------------------------------------------------------------------------------------------
    async def _start(self, url: str, body: dict[str, Any] | None) -> aiohttp.ClientResponse:
        """The answer's head. Raises for any status but 200, with the connection given back."""
        trouble: Exception
        try:
            # A redirect is not followed: a POST would become a GET, and the key go to another host.
            sent = self._session.request("GET" if body is None else "POST", url, json=body, allow_redirects=False)
            response = await sent
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            trouble = error
        else:
            if response.status == 200:
                return response
            try:
                raise await self._failure(response)
            finally:
                response.close()
        self.lost(trouble)

    async def _failure(self, response: aiohttp.ClientResponse) -> PerPassError:
        text = ""
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            text = self.scrub((await response.content.read(PARTLY_READ)).decode(errors="replace"))
        if 300 <= response.status < 400:
            return Refused(f"{self.where} redirects elsewhere; write the final address into base_url", response.status)
        if response.status in (401, 403):
            key = f"the key in ${self._key_env}" if self._key_env else "a request without a key (name one with key_env)"
            return Refused(f"{self.where} rejects {key}: {said(text)}", response.status)
        return failure(response.status, text, response.headers, self.where)

    def lost(self, error: Exception) -> NoReturn:
        """What an error of the connection means. The original, which may hold the request's headers, is not chained to it."""
        message = self.scrub(" ".join(str(error).split()))
        if isinstance(error, (aiohttp.InvalidURL, aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError)):
            raise PerPassError(f"{self.where} cannot be used: {message or type(error).__name__}")
        if isinstance(error, TimeoutError):
            raise TransportFault(f"{self.where} said nothing for {self._timeout_s:g} s")
        raise TransportFault(f"the connection to {self.where} broke: {type(error).__name__}" + (f": {message}" if message else ""))

    def scrub(self, text: str) -> str:
        return self._key.scrub(text)

    def parsed(self, data: bytes) -> dict[str, Any]:
        """One JSON object of an answer. Raises TransportFault when it is none, or what an error object in it stands for."""
        try:
            found = json.loads(data)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            begin = self.scrub(" ".join(data[:200].decode(errors="replace").split()))[:80]
            raise TransportFault(f"{self.where} sent something that is no JSON object: {begin!r}")
        if error := error_object(found, self.where, self.scrub):
            raise error
        return found


class Exchange:
    """One request and its answer. Leaving the block before the answer was read to its end closes the connection, which aborts the request.

    `sent` is when it went out, in seconds since the epoch. Entering and reading raise TransportFault for whatever another try may overcome,
    PromptTooLong, else PerPassError (`Refused` where the server said so).
    """

    def __init__(self, client: Client, url: str, body: dict[str, Any] | None):
        self._client, self._url, self._body = client, url, body
        self._response: aiohttp.ClientResponse | None = None
        self.sent = 0.0

    async def __aenter__(self) -> Exchange:
        await self._client._slots.acquire()
        try:
            self.sent = now()
            self._response = await self._client._start(self._url, self._body)
        except BaseException:
            self._client._slots.release()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._response is not None
        self._response.close()  # after its end this is nothing: the connection has gone back to the others
        self._client._slots.release()

    async def _read(self) -> bytes:
        """What has arrived, at least a byte; empty at the end."""
        assert self._response is not None
        trouble: Exception
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            trouble = error
        self._client.lost(trouble)

    async def json(self) -> dict[str, Any]:
        """The whole body as one JSON object."""
        whole = bytearray()
        while piece := await self._read():
            whole += piece
        return self._client.parsed(bytes(whole))

    async def chunks(self) -> AsyncGenerator[dict[str, Any], None]:
        """The objects of a server-sent event stream; the whole body as one where the server does not stream."""
        assert self._response is not None
        if self._response.content_type == "application/json":
            yield await self.json()
            return
        rest = b""
        while piece := await self._read():
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                data = self._data(line)
                if data == b"[DONE]":
                    await self._drain()
                    return
                if data:
                    yield self._client.parsed(data)
        if (data := self._data(rest)) and data != b"[DONE]":
            yield self._client.parsed(data)

    def _data(self, line: bytes) -> bytes:
        """What an event's line carries, empty for comments, names and blank lines. A line of bare JSON is an error told out of form."""
        line = line.strip()
        if line.startswith(b"data:"):
            return line[5:].strip()
        if not line or line.startswith((b":", b"event:", b"id:", b"retry:")):
            return b""
        return line

    async def _drain(self) -> None:
        """Read the stream's end, so that its connection can be used again."""
        with contextlib.suppress(PerPassError, TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while await self._read():
                    pass
