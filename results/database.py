"""Opening a database: which one, whether it is ours, and at which revision.

URL: the one given (`--db`), else `$PERPASS_DB`, else `./perpass.db`; a plain path means SQLite. SQLite runs in WAL mode, so reading goes on
while a run writes. Opening for reading never creates a file. Alembic is imported only where a migration runs.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import exc

from perpass.errors import DatabaseError
from results import schema

DEFAULT = "perpass.db"
BUSY_MS = 60_000
MIGRATIONS = Path(__file__).parent / "migrations"

Db = sa.Engine | str | os.PathLike[str]


def resolve(url: str | os.PathLike[str] | None = None) -> str:
    """The database URL: `url`, else `$PERPASS_DB`, else `./perpass.db`; a plain path becomes `sqlite:///path`."""
    found = os.fspath(url) if url else os.environ.get("PERPASS_DB") or DEFAULT
    if "://" not in found:
        return f"sqlite:///{Path(found).expanduser()}"
    if found.startswith(("postgres://", "postgresql://")):  # psycopg 3 is the driver that `perpass[postgres]` installs
        return "postgresql+psycopg://" + found.partition("://")[2]
    return found


def open_database(
    url: str | os.PathLike[str] | None = None,
    *,
    create: bool = False,
    readonly: bool = False,
    announce: Callable[[str], None] | None = None,
) -> sa.Engine:
    """An SQLAlchemy engine on a PerPass database at the current revision.

    create    make the database when there is none; `announce` then gets one line that says so
    readonly  nothing is ever written, not even a new file; works on a running run's database and in a read-only folder
    Raises DatabaseError, one sentence: missing, foreign, newer, older, read-only or not a database.
    """
    address = resolve(url)
    path = sqlite_path(address)
    if path is not None:
        _check_path(path, create=create and not readonly, readonly=readonly)
    fresh = path is not None and not path.exists()
    if not readonly and path is not None and not fresh:
        _look(address, path)  # before a connection for writing, which would already turn a foreign file to WAL mode
    engine = _read_engine(address, path) if readonly else _write_engine(address)
    try:
        if _state(engine, address) == "empty":
            if readonly or not create:
                raise DatabaseError(f"{show(address)} holds no PerPass results yet; `bench run` creates them")
            upgrade(address)
            fresh = True
        if not readonly and path is not None:
            _probe_write(engine)
    except BaseException as error:
        engine.dispose()
        if isinstance(error, exc.DBAPIError):
            raise _explain(error, address) from error
        raise
    if fresh and announce is not None:
        announce(f"new database: {show(address)}")
    return engine


def as_engine(db: Db) -> sa.Engine:
    """`db` itself when it is an engine; a path or URL is opened for reading."""
    return db if isinstance(db, sa.Engine) else open_database(db, create=False, readonly=True)


@contextmanager
def reading(db: Db) -> Iterator[sa.Connection]:
    """A connection that reads. What had to be opened for it is closed again: a file that was only read leaves no files beside it."""
    engine = as_engine(db)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        if engine is not db:
            engine.dispose()


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One write transaction. On SQLite it takes the write lock at once (waiting for it), so that what it reads first cannot go stale."""
    with engine.connect().execution_options(perpass_write=True) as connection, connection.begin():
        yield connection


def upgrade(url: str | os.PathLike[str] | None = None) -> str:
    """Bring the database to the newest revision, creating the tables when there are none. Returns that revision. Raises DatabaseError."""
    from alembic import command

    address = resolve(url)
    path = sqlite_path(address)
    if path is not None:
        _check_path(path, create=True, readonly=False)
        if path.exists():
            _look(address, path, older=True)
    engine = _write_engine(address)
    try:
        _state(engine, address, older=True)
        with transaction(engine) as connection:
            command.upgrade(alembic_config(connection), "head")
    except exc.DBAPIError as error:
        raise _explain(error, address) from error
    finally:
        engine.dispose()
    return schema.REVISION


def info(url: Db | None = None) -> dict[str, Any]:
    """What `bench db info` prints: url, revision, size_bytes (None for servers), and rows per table. Reads older revisions too."""
    if isinstance(url, sa.Engine):
        return _info(url, url.url.render_as_string(hide_password=True))
    address = resolve(url)
    path = sqlite_path(address)
    if path is not None:
        _check_path(path, create=False, readonly=True)
    engine = _read_engine(address, path)
    try:
        _state(engine, address, older=True)
        return _info(engine, address)
    except exc.DBAPIError as error:
        raise _explain(error, address) from error
    finally:
        engine.dispose()


def _info(engine: sa.Engine, address: str) -> dict[str, Any]:
    with engine.connect() as connection:
        present = set(sa.inspect(connection).get_table_names())
        revision = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() if "alembic_version" in present else None
        tables = {
            t.name: connection.execute(sa.select(sa.func.count()).select_from(t)).scalar_one()
            for t in schema.Base.metadata.sorted_tables
            if t.name in present
        }
    path = sqlite_path(address)
    sizes = [Path(f"{path}{end}") for end in ("", "-wal")] if path is not None else []
    size = sum(p.stat().st_size for p in sizes if p.exists()) if sizes else None
    return {"url": show(address), "revision": revision, "current": revision == schema.REVISION, "size_bytes": size, "tables": tables}


def alembic_config(connection: sa.Connection) -> Any:
    """The Alembic configuration for one open connection; the scripts are package data."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def show(address: str) -> str:
    """A URL as people read it: a plain path for SQLite, no password for servers."""
    path = sqlite_path(address)
    return str(path) if path is not None else sa.make_url(address).render_as_string(hide_password=True)


def sqlite_path(address: str) -> Path | None:
    """The file behind an SQLite URL; None for any other database. Raises DatabaseError for a URL that cannot be read."""
    try:
        parsed = sa.make_url(address)
    except exc.ArgumentError as error:
        raise DatabaseError(f"cannot read the database URL {address!r}; expected a path, sqlite:///path or postgresql://…") from error
    if parsed.get_backend_name() != "sqlite":
        return None
    name = parsed.database or ""
    if name in ("", ":memory:"):
        raise DatabaseError("an SQLite database needs a file; one in memory would be gone with the process")
    if name.startswith("file:"):
        name = name.removeprefix("file:").partition("?")[0]
    return Path(name)


# --- checks -----------------------------------------------------------------------------------------------------------------------------


def _check_path(path: Path, *, create: bool, readonly: bool) -> None:
    if path.is_dir():
        raise DatabaseError(f"{path} is a folder, not a database file")
    if not path.exists():
        if not create:
            raise DatabaseError(f"no database at {path}; `bench run` creates one, `--db` or $PERPASS_DB names another")
        if not path.parent.is_dir():
            raise DatabaseError(f"cannot create {path}: there is no folder {path.parent}")
        if not os.access(path.parent, os.W_OK):
            raise DatabaseError(f"cannot create {path}: the folder {path.parent} is read-only")
        return
    with open(path, "rb") as file:
        head = file.read(16)
    if head and not head.startswith(b"SQLite format 3"):
        raise DatabaseError(f"{path} is not an SQLite database; it was left untouched")
    # Root may write to any file, so the mode bits are asked too: a file without a write bit was made read-only by someone.
    if not readonly and (not os.access(path, os.W_OK) or not path.stat().st_mode & 0o222):
        raise DatabaseError(f"{path} is read-only; results cannot be written to it")


def _state(engine: sa.Engine, address: str, *, older: bool = False) -> str:
    """`empty` or `current` (`older` too where that is allowed). Raises DatabaseError for everything that is not ours or not usable."""
    with engine.connect() as connection:
        tables = set(sa.inspect(connection).get_table_names())
        versions: list[str] = []
        if "alembic_version" in tables:
            versions = list(connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars())
    ours = {"cell", "attempt", "judgement", "sample"} <= tables
    if not tables - {"alembic_version"} and not versions:
        return "empty"
    if not ours or not versions:
        raise DatabaseError(f"{show(address)} is a database of another program ({_some(tables)}); name another with --db or $PERPASS_DB")
    if versions == [schema.REVISION]:
        return "current"
    if versions[0] not in _known_revisions():
        raise DatabaseError(
            f"{show(address)} was written by a newer PerPass (revision {versions[0]}, this one knows {schema.REVISION}); upgrade PerPass"
        )
    if older:
        return "older"
    raise DatabaseError(f"{show(address)} is at the older revision {versions[0]}; run `bench db upgrade` to bring it to {schema.REVISION}")


def _look(address: str, path: Path, *, older: bool = False) -> None:
    """Raise DatabaseError for an SQLite file that is not ours to write, without touching it."""
    engine = _read_engine(address, path)
    try:
        _state(engine, address, older=older)
    except exc.DBAPIError as error:
        raise _explain(error, address) from error
    finally:
        engine.dispose()


def _some(tables: set[str]) -> str:
    names = sorted(tables)
    return "tables " + ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _known_revisions() -> set[str]:
    """Revisions of the migration scripts, from their file names (`perpass_0001_….py`), so that Alembic need not be imported."""
    return {"_".join(p.stem.split("_")[:2]) for p in (MIGRATIONS / "versions").glob("perpass_*.py")}


def _probe_write(engine: sa.Engine) -> None:
    with transaction(engine):  # takes and releases the write lock; fails on a read-only file system
        pass


def _explain(error: exc.DBAPIError, address: str) -> DatabaseError:
    cause = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
    if "readonly" in cause:
        return DatabaseError(f"{show(address)} is read-only; results cannot be written to it")
    if "not a database" in cause or "malformed" in cause:
        return DatabaseError(f"{show(address)} is not a usable SQLite database ({cause}); it was left untouched")
    if "locked" in cause:
        return DatabaseError(f"{show(address)} is locked by another program for more than {BUSY_MS // 1000} s")
    return DatabaseError(f"cannot open {show(address)}: {cause}")


# --- engines ----------------------------------------------------------------------------------------------------------------------------


def _write_engine(address: str) -> sa.Engine:
    engine = _engine(address)
    if engine.dialect.name == "sqlite":
        _transactions(engine)
        # synchronous=NORMAL: a killed process loses nothing; only a power cut may lose the last seconds.
        _on_connect(
            engine, f"PRAGMA busy_timeout={BUSY_MS}", "PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL", "PRAGMA foreign_keys=ON"
        )
    return engine


def _read_engine(address: str, path: Path | None) -> sa.Engine:
    if path is None:
        return _engine(address)
    for options in _ways_to_read(path):
        engine = sa.create_engine(f"sqlite:///file:{quote(str(path.absolute()))}?{options}&uri=true")
        _transactions(engine)
        _on_connect(engine, f"PRAGMA busy_timeout={BUSY_MS}", "PRAGMA query_only=ON")
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
            return engine
        except exc.DBAPIError as error:
            engine.dispose()
            no_shared_memory = "unable to open" in str(error.orig) or "readonly" in str(error.orig)
            if not no_shared_memory or options.startswith("immutable"):
                raise _explain(error, address) from error
    raise DatabaseError(
        f"{path} is in a read-only folder with unfinished writes beside it ({path.name}-wal); copy both to a writable folder to read them"
    )


def _ways_to_read(path: Path) -> list[str]:
    """How to open an SQLite file for reading, best first.

    A WAL database needs two small files beside it. If they are there, `mode=ro` uses them; if not, only a connection that may write
    removes them again when it closes (`query_only` keeps it from writing anything else). In a read-only folder they cannot be made: the
    file is then read as it lies, which is right while nobody can write it and no write-ahead log is left over.
    """
    wal = Path(f"{path}-wal")
    unfinished = wal.exists() and wal.stat().st_size > 0
    ways = ["mode=ro"] if unfinished else ["mode=ro", "immutable=1&mode=ro"]
    if not wal.exists() and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        ways.insert(0, "mode=rw")
    return ways


def _on_connect(engine: sa.Engine, *statements: str) -> None:
    @sa.event.listens_for(engine, "connect")
    def _run(connection: sqlite3.Connection, _record: Any) -> None:
        for statement in statements:
            connection.execute(statement)


def _engine(address: str) -> sa.Engine:
    try:
        return sa.create_engine(address)
    except (exc.ArgumentError, exc.NoSuchModuleError) as error:
        raise DatabaseError(f"cannot read the database URL {show(address)!r}: {error}") from error
    except ImportError as error:
        raise DatabaseError(f"no driver for {show(address)}: {error}; PostgreSQL needs `pip install psycopg[binary]`") from error


def _transactions(engine: sa.Engine) -> None:
    """Leave transactions to SQLAlchemy instead of sqlite3's own guesses: schema changes roll back too, and writers lock at once."""

    @sa.event.listens_for(engine, "connect")
    def _manual(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        write = connection.get_execution_options().get("perpass_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
