"""Which database is opened, what is refused, and that reading leaves no trace."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from perpass.errors import DatabaseError
from results import database, schema
from results.store import Store
from tests.results.builders import World, cell_key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "perpass.db"


def made(path: Path) -> Path:
    database.open_database(path, create=True).dispose()
    return path


def test_the_url_comes_from_the_flag_then_the_environment_then_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PERPASS_DB", raising=False)
    assert database.resolve() == "sqlite:///perpass.db"
    monkeypatch.setenv("PERPASS_DB", "/data/a.db")
    assert database.resolve() == "sqlite:////data/a.db"
    assert database.resolve("b.db") == "sqlite:///b.db"
    assert database.resolve("postgresql://me@host/x") == "postgresql+psycopg://me@host/x"


def test_a_new_database_is_announced_once(path: Path) -> None:
    said: list[str] = []
    database.open_database(path, create=True, announce=said.append).dispose()
    database.open_database(path, create=True, announce=said.append).dispose()
    assert said == [f"new database: {path}"]


def test_the_migration_makes_exactly_the_models_tables(path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    engine = database.open_database(made(path), readonly=True)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), schema.Base.metadata)
        assert ScriptDirectory.from_config(database.alembic_config(connection)).get_heads() == [schema.REVISION]
    engine.dispose()
    assert differences == []


def test_downgrading_removes_every_table(path: Path) -> None:
    from alembic import command

    engine = database.open_database(made(path), create=True)
    with database.transaction(engine) as connection:
        command.downgrade(database.alembic_config(connection), "base")
    with engine.connect() as connection:
        assert sa.inspect(connection).get_table_names() == ["alembic_version"]


def test_sqlite_runs_in_wal_mode_with_foreign_keys(path: Path) -> None:
    engine = database.open_database(path, create=True)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == database.BUSY_MS


@pytest.mark.parametrize("create, readonly", [(False, False), (False, True), (True, True)])
def test_reading_never_creates(path: Path, create: bool, readonly: bool) -> None:
    with pytest.raises(DatabaseError, match="no database at"):
        database.open_database(path, create=create, readonly=readonly)
    assert not path.exists()


def test_reading_leaves_no_files_beside_the_database(path: Path) -> None:
    made(path)
    engine = database.open_database(path, readonly=True)
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM cell")).scalar() == 0
    engine.dispose()
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_reader_cannot_write(path: Path) -> None:
    engine = database.open_database(made(path), readonly=True)
    with engine.connect() as connection, pytest.raises(sa.exc.OperationalError, match="readonly"):
        connection.exec_driver_sql("DELETE FROM cell")


def test_reading_goes_on_while_a_run_writes(path: Path) -> None:
    world = World.make(path)
    reader = database.open_database(path, readonly=True)
    with database.transaction(world.engine) as connection:
        connection.exec_driver_sql("UPDATE run SET status = 'done'")
        with reader.connect() as other:
            assert other.exec_driver_sql("SELECT status FROM run").scalar() == "running"
    with reader.connect() as other:
        assert other.exec_driver_sql("SELECT status FROM run").scalar() == "done"


def test_a_killed_runs_write_ahead_log_is_read(path: Path) -> None:
    code = (
        "import os, sys; from tests.results.builders import World; from pathlib import Path;"
        "World.make(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], cwd=Path(__file__).parents[2], check=False)
    assert Path(f"{path}-wal").stat().st_size > 0
    engine = database.open_database(path, readonly=True)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM run").scalar() == 1


def _as_nobody(path: Path) -> str:
    """Read the database in a child process without root's rights, to whom every folder is writable; what it counted or failed with."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:  # modules are loaded already, so the child needs no file that only root may read
        try:
            if os.getuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            engine = database.open_database(path, readonly=True)
            with engine.connect() as connection:
                told = str(connection.exec_driver_sql("SELECT count(*) FROM cell").scalar())
            engine.dispose()
        except BaseException as error:
            told = f"{type(error).__name__}: {error}"
        os.write(send, told.encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(send)
    return os.read(receive, 4096).decode()


@pytest.fixture
def shelf(path: Path) -> Iterator[Path]:
    """A database in a folder that nobody may write to, outside of pytest's private one."""
    folder = Path(tempfile.mkdtemp(prefix="perpass-"))
    shutil.copy(made(path), folder / path.name)
    yield folder / path.name
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_database_in_a_read_only_folder_can_be_read(shelf: Path) -> None:
    shelf.chmod(0o444)
    shelf.parent.chmod(0o555)
    assert _as_nobody(shelf) == "0"
    assert [p.name for p in shelf.parent.iterdir()] == [shelf.name]


def test_unfinished_writes_in_a_read_only_folder_are_not_ignored(shelf: Path) -> None:
    Path(f"{shelf}-wal").write_bytes(b"x" * 100)
    shelf.parent.chmod(0o555)
    assert "DatabaseError" in _as_nobody(shelf) and "unfinished writes" in _as_nobody(shelf)


def test_a_file_without_write_permission_is_refused_for_writing_even_to_root(path: Path) -> None:
    made(path).chmod(0o444)
    with pytest.raises(DatabaseError, match="is read-only"):
        database.open_database(path, create=True)
    database.open_database(path, readonly=True).dispose()


def test_a_foreign_database_is_left_untouched(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE customers (id INTEGER)")
    before = path.read_bytes()
    for readonly in (True, False):
        with pytest.raises(DatabaseError, match="another program .*customers"):
            database.open_database(path, create=not readonly, readonly=readonly)
    assert path.read_bytes() == before


def test_another_programs_alembic_database_is_foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE customers (id INTEGER)")
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.execute("INSERT INTO alembic_version VALUES ('perpass_0001')")
    with pytest.raises(DatabaseError, match="another program"):
        database.open_database(path, create=True)


@pytest.mark.parametrize("revision", ["perpass_9999", "abc123"])
def test_a_newer_database_asks_for_a_newer_perpass(path: Path, revision: str) -> None:
    made(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    for action in (lambda: database.open_database(path, create=True), lambda: database.open_database(path, readonly=True)):
        with pytest.raises(DatabaseError, match=f"newer PerPass .*{revision}.*upgrade PerPass"):
            action()
    with pytest.raises(DatabaseError, match="newer"):
        database.upgrade(path)


def test_an_older_database_asks_for_db_upgrade(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(path)
    monkeypatch.setattr(schema, "REVISION", "perpass_0099")
    with pytest.raises(DatabaseError, match="older revision perpass_0002.*bench db upgrade"):
        database.open_database(path, create=True)
    assert database.info(path)["current"] is False


@pytest.mark.parametrize("content", [b"hello, I am a text file\n", b"PK\x03\x04" + b"\0" * 100])
def test_a_file_that_is_no_database_is_left_untouched(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(DatabaseError, match="is not an SQLite database"):
        database.open_database(path, create=True)
    assert path.read_bytes() == content


def test_a_damaged_database_is_one_sentence(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + b"\x07" * 4096)
    with pytest.raises(DatabaseError, match="not a usable SQLite database"):
        database.open_database(path, create=True)


def test_an_empty_file_becomes_a_database_only_for_writing(path: Path) -> None:
    path.touch()
    with pytest.raises(DatabaseError, match="holds no PerPass results yet"):
        database.open_database(path, readonly=True)
    database.open_database(path, create=True).dispose()
    assert database.info(path)["revision"] == schema.REVISION


def test_places_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="is a folder"):
        database.open_database(tmp_path, create=True)
    with pytest.raises(DatabaseError, match="there is no folder"):
        database.open_database(tmp_path / "a" / "b.db", create=True)
    with pytest.raises(DatabaseError, match="needs a file"):
        database.open_database("sqlite://", create=True)
    with pytest.raises(DatabaseError, match="cannot read the database URL"):
        database.open_database("nonsense://x", create=True)


def test_a_server_that_does_not_answer_is_one_sentence() -> None:
    with pytest.raises(DatabaseError, match="PostgreSQL needs|cannot open"):
        database.open_database("postgresql://nobody:secret@127.0.0.1:1/none", create=True)
    assert "secret" not in database.show(database.resolve("postgresql://nobody:secret@127.0.0.1:1/none"))


def test_info_counts_rows_and_size(path: Path) -> None:
    world = World.make(path)
    world.cell(cell_key(), 3)
    told = database.info(path)
    assert (told["tables"]["cell"], told["tables"]["problem"], told["tables"]["run"]) == (1, 3, 1)
    assert told["current"] and told["size_bytes"] > 0 and told["url"] == str(path)


def test_opening_for_a_run_imports_neither_pandas_nor_alembic(path: Path) -> None:
    made(path)
    code = (
        "import sys; from results.database import open_database; from results.store import Store;"
        "Store(open_database(sys.argv[1], create=True)); import results.energy, results.prices;"
        "print([m for m in ('pandas', 'numpy', 'alembic', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_postgresql_holds_the_same(postgres: str) -> None:
    engine = database.open_database(postgres, create=True)
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), schema.Base.metadata) == []
    store = Store(engine)
    world = World(engine, store, store.begin_run("demo", "", ["bench"], {}, "main"))
    key = cell_key()
    row = world.cell(key, 4)
    world.solve(row, key, {"p0": ["correct", "wrong"], "p1": ["error", "correct"]})
    assert len(store.finished(row.id)) == 3
    from results import energy, report

    store.write(windows=[world.window(999.0, world.clock + 1, 8.0)])
    assert energy.settle(engine, world.run_id).attributed_j == pytest.approx(8.0)
    (shown,) = report.rows(engine)
    assert shown["accuracy"] == pytest.approx(2 / 3)
    assert database.info(engine)["tables"]["attempt"] == 4
    engine.dispose()
