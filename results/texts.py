"""Texts and per-token arrays: each content once, compressed, apart from the numbers."""

from __future__ import annotations

import hashlib
import sys
import zlib
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from results import bulk
from results.bulk import chunks
from results.bulk import on_new as on_new  # where others look for it
from results.schema import Text

SHORT = 2**12  # bytes: what a window of 12 bits holds
LEVELS = {"text": 3, "int32": 1, "float32": 1}  # zlib: nearly as small as its default here, and several times as fast

Content = str | tuple[int, ...] | tuple[float, ...]
Piece = tuple[str, Content]  # (kind, content); the kind keeps (0,) and (0.0,) apart, which Python calls equal
_CODES = {"int32": "i", "float32": "f"}
_T = Text.__table__


def raw(kind: str, content: Content) -> bytes:
    """The bytes of a content: text as UTF-8 (lone surrogates kept), token ids as int32, other numbers as float32, little-endian."""
    if isinstance(content, str):
        return content.encode("utf-8", "surrogatepass")
    values = array(_CODES[kind], content)
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def value(kind: str, data: bytes) -> Content:
    """The content of a compressed blob; floats come back with float32's 7 digits."""
    plain = zlib.decompress(data)
    if kind == "text":
        return plain.decode("utf-8", "surrogatepass")
    values = array(_CODES[kind])
    values.frombytes(plain)
    if sys.byteorder == "big":
        values.byteswap()
    return tuple(values)


def digest(kind: str, plain: bytes) -> bytes:
    """The 16-byte content hash."""
    return hashlib.blake2b(plain, digest_size=16, person=kind.encode()).digest()


def put(connection: sa.Connection, pieces: Iterable[Piece]) -> dict[Piece, int]:
    """Store each content once and return its id. Contents that are already there are neither compressed nor written again."""
    by_hash: dict[bytes, tuple[str, bytes]] = {}
    hashes: dict[Piece, bytes] = {}
    for piece in pieces:
        if piece not in hashes:
            plain = raw(*piece)
            key = hashes[piece] = digest(piece[0], plain)
            by_hash[key] = (piece[0], plain)
    wanted = sorted(by_hash)  # sorted: two writers on one server lock rows in the same order
    ids = _ids(connection, wanted)
    missing = [h for h in wanted if h not in ids]
    if missing:
        bulk.insert(connection, _T, [_row(h, *by_hash[h]) for h in missing], new=True)
        ids |= _ids(connection, missing)
    return {piece: ids[key] for piece, key in hashes.items()}


def _row(key: bytes, kind: str, plain: bytes) -> dict[str, Any]:
    return {"hash": key, "kind": kind, "size": len(plain), "data": _compressed(kind, plain)}


def _compressed(kind: str, plain: bytes) -> bytes:
    """As a zlib stream; a short content in a window of its size, since setting up the usual one takes many times longer than the work."""
    if len(plain) > SHORT:
        return zlib.compress(plain, LEVELS[kind])
    stream = zlib.compressobj(LEVELS[kind], zlib.DEFLATED, wbits=12, memLevel=5)
    return stream.compress(plain) + stream.flush()


def _ids(connection: sa.Connection, hashes: Sequence[bytes]) -> dict[bytes, int]:
    return {bytes(key): number for key, number in bulk.ids(connection, _T, "hash", hashes)}


def get(connection: sa.Connection, ids: Iterable[int | None]) -> dict[int, Content]:
    """The contents by id."""
    found: dict[int, Content] = {}
    for part in chunks(sorted({i for i in ids if i is not None})):
        rows = connection.execute(sa.select(_T.c.id, _T.c.kind, _T.c.data).where(_T.c.id.in_(part)))
        found.update((number, value(kind, bytes(data))) for number, kind, data in rows)
    return found


def put_text(connection: sa.Connection, content: str) -> int:
    """Store one text; its id."""
    return put(connection, [("text", content)])[("text", content)]


def get_text(connection: sa.Connection, number: int) -> str:
    """One text by id."""
    return str(get(connection, [number])[number])
