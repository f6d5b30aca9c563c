"""The tables, as SQLAlchemy 2 typed models.

Identity tables (model, engine, hardware, strategy, task) are small and unique by content hash. Large tables use integer keys. Texts and
per-token arrays live compressed in `text`, apart from every number. Units: tokens are counts, `_j` joules, `_s` seconds, times are seconds
since the epoch, FLOPs plain counts. NULL means "not known"; why stands in a code column beside it.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, Boolean, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

REVISION = "perpass_0002"  # the newest migration; a test holds it equal to Alembic's head

Key = BigInteger().with_variant(Integer, "sqlite")  # SQLite only numbers rows by itself for INTEGER
Json = JSON(none_as_null=True)
Hash = String(64)

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """What all tables share: how constraints are named, and which column type a Python type becomes."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        int: Key,
        str: String(),
        float: Float(53),
        bool: Boolean(),
        bytes: LargeBinary(),
        dict[str, Any]: Json,
        list[Any]: Json,
    }


class Model(Base):
    """Weights at a revision and precision."""

    __tablename__ = "model"
    id: Mapped[int] = mapped_column(primary_key=True)
    hash: Mapped[str] = mapped_column(Hash, unique=True)
    name: Mapped[str] = mapped_column(index=True)
    revision: Mapped[str | None]
    dtype: Mapped[str | None]
    identity: Mapped[dict[str, Any]]


class Engine(Base):
    """What runs a model, with all its settings."""

    __tablename__ = "engine"
    id: Mapped[int] = mapped_column(primary_key=True)
    hash: Mapped[str] = mapped_column(Hash, unique=True)
    name: Mapped[str] = mapped_column(index=True)
    identity: Mapped[dict[str, Any]]


class Hardware(Base):
    """Device type × count; its price is looked up, never stored here."""

    __tablename__ = "hardware"
    id: Mapped[int] = mapped_column(primary_key=True)
    hash: Mapped[str] = mapped_column(Hash, unique=True)
    name: Mapped[str] = mapped_column(index=True)
    identity: Mapped[dict[str, Any]]


class Strategy(Base):
    """An inference strategy with all its parameters and its resolved sampling."""

    __tablename__ = "strategy"
    id: Mapped[int] = mapped_column(primary_key=True)
    hash: Mapped[str] = mapped_column(Hash, unique=True)
    name: Mapped[str] = mapped_column(index=True)
    version: Mapped[int | None] = mapped_column(Integer)
    params: Mapped[dict[str, Any] | None]
    sampling: Mapped[dict[str, Any] | None]
    identity: Mapped[dict[str, Any]]


class Task(Base):
    """A suite at a version and revision; `spec` is what `tasks.load` is given."""

    __tablename__ = "task"
    id: Mapped[int] = mapped_column(primary_key=True)
    hash: Mapped[str] = mapped_column(Hash, unique=True)
    name: Mapped[str] = mapped_column(index=True)
    version: Mapped[int | None] = mapped_column(Integer)
    revision: Mapped[str | None]
    spec: Mapped[Any | None] = mapped_column(Json)
    identity: Mapped[dict[str, Any]]


class Text(Base):
    """A text or a per-token array, zlib-compressed, once per content. `kind`: text | int32 | float32 (little-endian); `size`: raw bytes."""

    __tablename__ = "text"
    id: Mapped[int] = mapped_column(primary_key=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary(16), unique=True)
    kind: Mapped[str] = mapped_column(String(8))
    size: Mapped[int] = mapped_column(Integer)
    data: Mapped[bytes]


class Problem(Base):
    """One unit of a task. `ordinal` is its place in the task's fixed order; `hash` covers everything that is asked and the gold answers."""

    __tablename__ = "problem"
    __table_args__ = (UniqueConstraint("task_id", "key"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("task.id"))
    key: Mapped[str]
    ordinal: Mapped[int] = mapped_column(Integer)
    hash: Mapped[str] = mapped_column(Hash)
    items: Mapped[int] = mapped_column(Integer)
    request: Mapped[str]
    question_id: Mapped[int] = mapped_column(ForeignKey("text.id"))
    gold: Mapped[list[Any]]
    meta: Mapped[dict[str, Any]]


class Cell(Base):
    """What is run, resumed and compared, once per series. `name` (10 hex digits of the identity) is what people type.

    `experiments`: {name: {"limit": int | null, "trials": int}}. The counters are kept current by the writer.
    """

    __tablename__ = "cell"
    __table_args__ = (UniqueConstraint("identity", "series"), Index(None, "task_id", "series"))
    id: Mapped[int] = mapped_column(primary_key=True)
    identity: Mapped[str] = mapped_column(Hash)
    name: Mapped[str] = mapped_column(String(10), index=True)
    series: Mapped[str] = mapped_column(index=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"))
    engine_id: Mapped[int] = mapped_column(ForeignKey("engine.id"))
    hardware_id: Mapped[int] = mapped_column(ForeignKey("hardware.id"))
    strategy_id: Mapped[int] = mapped_column(ForeignKey("strategy.id"))
    task_id: Mapped[int] = mapped_column(ForeignKey("task.id"))
    roles: Mapped[dict[str, Any]]
    seed: Mapped[int]
    mode: Mapped[str] = mapped_column(String(16))
    concurrency: Mapped[int | None] = mapped_column(Integer)
    experiments: Mapped[dict[str, Any]]
    codes: Mapped[list[Any]]
    created: Mapped[float]
    problems: Mapped[int] = mapped_column(Integer, default=0)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    items: Mapped[int] = mapped_column(Integer, default=0)
    correct: Mapped[int] = mapped_column(Integer, default=0)
    errors: Mapped[int] = mapped_column(Integer, default=0)  # items whose outcome is `error`


class Run(Base):
    """One invocation of `bench run` with its environment. `status`: running | done | interrupted | failed | budget."""

    __tablename__ = "run"
    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    started: Mapped[float]
    ended: Mapped[float | None]
    status: Mapped[str] = mapped_column(String(16))
    settled: Mapped[bool] = mapped_column(default=False)
    experiment: Mapped[str]
    text: Mapped[str]
    series: Mapped[str]
    argv: Mapped[list[Any]]
    environment: Mapped[dict[str, Any]]


class Attempt(Base):
    """One strategy on one problem, one trial. Energy columns are derived when a run's windows are settled."""

    __tablename__ = "attempt"
    __table_args__ = (UniqueConstraint("cell_id", "problem_id", "trial"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    cell_id: Mapped[int] = mapped_column(ForeignKey("cell.id"))
    problem_id: Mapped[int] = mapped_column(ForeignKey("problem.id"))
    trial: Mapped[int] = mapped_column(Integer)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), index=True)
    text_id: Mapped[int] = mapped_column(ForeignKey("text.id"))
    answers: Mapped[list[Any] | None]  # items that override extraction: a vote's
    finish: Mapped[str] = mapped_column(String(16))
    error: Mapped[str | None]
    serial_tokens: Mapped[int]
    latency_s: Mapped[float | None]
    ttft_s: Mapped[float | None]
    started: Mapped[float]
    ended: Mapped[float]
    codes: Mapped[dict[str, Any]]
    energy_j: Mapped[float | None]
    device_s: Mapped[float | None]
    energy_source: Mapped[str | None] = mapped_column(String(24))
    energy_code: Mapped[str | None]


class Judgement(Base):
    """An attempt judged by one version of extractor and grader. `current`: the one that numbers are computed from. Counts are items."""

    __tablename__ = "judgement"
    __table_args__ = (UniqueConstraint("attempt_id", "judge"), Index(None, "attempt_id", "current"))
    id: Mapped[int] = mapped_column(primary_key=True)
    attempt_id: Mapped[int] = mapped_column(ForeignKey("attempt.id", ondelete="CASCADE"))
    judge: Mapped[str] = mapped_column(index=True)
    current: Mapped[bool]
    items: Mapped[int] = mapped_column(Integer)
    correct: Mapped[int] = mapped_column(Integer)
    wrong: Mapped[int] = mapped_column(Integer)
    abstained: Mapped[int] = mapped_column(Integer)
    unparsable: Mapped[int] = mapped_column(Integer)
    truncated: Mapped[int] = mapped_column(Integer)
    too_long: Mapped[int] = mapped_column(Integer)
    error: Mapped[int] = mapped_column(Integer)
    outcomes: Mapped[list[Any]]
    extracted: Mapped[list[Any]]
    scores: Mapped[dict[str, Any]]


class Ledger(Base):
    """What an attempt is charged, by role, model and kind."""

    __tablename__ = "ledger"
    __table_args__ = (UniqueConstraint("attempt_id", "role", "model_id", "kind"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    attempt_id: Mapped[int] = mapped_column(ForeignKey("attempt.id", ondelete="CASCADE"))
    role: Mapped[str] = mapped_column(String(32))
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"))
    kind: Mapped[str] = mapped_column(String(16))
    calls: Mapped[int]
    prompt: Mapped[int]
    cached: Mapped[int]
    output: Mapped[int]
    reasoning: Mapped[int]
    scored: Mapped[int]
    flop_linear: Mapped[float | None]
    flop_attention: Mapped[float | None]
    flop_head: Mapped[float | None]
    energy_j: Mapped[float | None]
    device_s: Mapped[float | None]
    energy_code: Mapped[str | None]


class Sample(Base):
    """One engine call. `pool` is NULL for calls that belong to one attempt. Energy columns are filled by settling its run."""

    __tablename__ = "sample"
    __table_args__ = (Index(None, "pool", "trial", "position"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    pool: Mapped[str | None]
    trial: Mapped[int] = mapped_column(Integer)
    position: Mapped[int | None] = mapped_column(Integer)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), index=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"))
    engine_id: Mapped[int] = mapped_column(ForeignKey("engine.id"))
    hardware_id: Mapped[int] = mapped_column(ForeignKey("hardware.id"))
    problem_id: Mapped[int] = mapped_column(ForeignKey("problem.id"))
    role: Mapped[str] = mapped_column(String(32))
    seed: Mapped[int]
    prompt_id: Mapped[int] = mapped_column(ForeignKey("text.id"))
    text_id: Mapped[int] = mapped_column(ForeignKey("text.id"))
    token_ids_id: Mapped[int | None] = mapped_column(ForeignKey("text.id"))
    logprobs_id: Mapped[int | None] = mapped_column(ForeignKey("text.id"))
    confidence_id: Mapped[int | None] = mapped_column(ForeignKey("text.id"))
    chunks_id: Mapped[int | None] = mapped_column(ForeignKey("text.id"))  # float32: (seconds after `first`, tokens so far) of each chunk
    finish: Mapped[str] = mapped_column(String(16))
    prompt_tokens: Mapped[int]
    cached_tokens: Mapped[int]
    output_tokens: Mapped[int]
    reasoning_tokens: Mapped[int]
    scored_tokens: Mapped[int]
    flop_linear: Mapped[float | None]
    flop_attention: Mapped[float | None]
    flop_head: Mapped[float | None]
    sent: Mapped[float]
    first: Mapped[float | None]
    last: Mapped[float]
    energy_j: Mapped[float | None]
    device_s: Mapped[float | None]
    energy_source: Mapped[str | None] = mapped_column(String(24))
    energy_code: Mapped[str | None]


class AttemptSample(Base):
    """That an attempt used a sample, and what of it is charged (see results.records.Use)."""

    __tablename__ = "attempt_sample"
    attempt_id: Mapped[int] = mapped_column(ForeignKey("attempt.id", ondelete="CASCADE"), primary_key=True)
    ordinal: Mapped[int] = mapped_column(Integer, primary_key=True)
    sample_id: Mapped[int] = mapped_column(ForeignKey("sample.id"), index=True)
    role: Mapped[str] = mapped_column(String(32))
    output: Mapped[int]
    cached: Mapped[int]
    share: Mapped[float]
    chosen: Mapped[bool]


class RewardScore(Base):
    """A reward model's verdict on one step of a sample of kind `reward`; NULL where the input was over-long."""

    __tablename__ = "reward_score"
    sample_id: Mapped[int] = mapped_column(ForeignKey("sample.id", ondelete="CASCADE"), primary_key=True)
    step: Mapped[int] = mapped_column(Integer, primary_key=True)
    score: Mapped[float | None]


class Window(Base):
    """A span over which energy was read: one row per domain and device. `kind`: pooled | whole | steady | idle."""

    __tablename__ = "window"
    __table_args__ = (UniqueConstraint("run_id", "kind", "meter", "domain", "device", "started"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    cell_id: Mapped[int | None] = mapped_column(ForeignKey("cell.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    meter: Mapped[str]
    meter_version: Mapped[int] = mapped_column(Integer)
    source: Mapped[str] = mapped_column(String(24))
    domain: Mapped[str] = mapped_column(String(16))
    device: Mapped[str]
    started: Mapped[float]
    ended: Mapped[float]
    energy_j: Mapped[float | None]
    valid: Mapped[bool]
    codes: Mapped[list[Any]]
    parameters: Mapped[dict[str, Any]]


class Price(Base):
    """A copy of the price book that was in force: history can be re-priced, and shows which book it was priced by."""

    __tablename__ = "price"
    __table_args__ = (UniqueConstraint("book", "kind", "subject", "date"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    book: Mapped[str] = mapped_column(Hash)
    kind: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str]
    rates: Mapped[dict[str, Any]]
    date: Mapped[str] = mapped_column(String(10))
    source: Mapped[str]
    recorded: Mapped[float]


class Power(Base):
    """The raw readings of one meter domain over a stretch of a run, so that any window can be computed again.

    `quantity`: power (W) or energy (J, a counter) or temperature (°C) …; `times` are seconds since `started`; both are float32 arrays.
    """

    __tablename__ = "power"
    __table_args__ = (UniqueConstraint("run_id", "meter", "quantity", "domain", "device", "started"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    meter: Mapped[str]
    quantity: Mapped[str] = mapped_column(String(16))
    domain: Mapped[str] = mapped_column(String(16))
    device: Mapped[str]
    started: Mapped[float]
    ended: Mapped[float]
    readings: Mapped[int] = mapped_column(Integer)
    times_id: Mapped[int] = mapped_column(ForeignKey("text.id"))
    values_id: Mapped[int] = mapped_column(ForeignKey("text.id"))


class Analysis(Base):
    """What was computed from stored rows and is too dear for every page. `inputs` hashes those rows: another hash, another result."""

    __tablename__ = "analysis"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(24), index=True)
    key: Mapped[str] = mapped_column(Hash, unique=True)
    cell_id: Mapped[int | None] = mapped_column(ForeignKey("cell.id", ondelete="CASCADE"))
    series: Mapped[str | None]
    parameters: Mapped[dict[str, Any]]
    inputs: Mapped[str] = mapped_column(Hash)
    result: Mapped[dict[str, Any]]
    computed: Mapped[float]


class External(Base):
    """A row that others measured and published: shown beside ours, never mixed into them."""

    __tablename__ = "external"
    __table_args__ = (UniqueConstraint("source", "key"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(String(32))
    key: Mapped[str] = mapped_column(Hash)
    task: Mapped[str]
    model: Mapped[str]
    hardware: Mapped[str]
    values: Mapped[dict[str, Any]]
    provenance: Mapped[dict[str, Any]]
    imported: Mapped[float]


class Memory(Base):
    """What a strategy with memory carried on after its attempt on the `ordinal`-th problem of a trial: a JSON text."""

    __tablename__ = "memory"
    cell_id: Mapped[int] = mapped_column(ForeignKey("cell.id", ondelete="CASCADE"), primary_key=True)
    trial: Mapped[int] = mapped_column(Integer, primary_key=True)
    ordinal: Mapped[int] = mapped_column(Integer, primary_key=True)
    problem_id: Mapped[int] = mapped_column(ForeignKey("problem.id"))
    text_id: Mapped[int] = mapped_column(ForeignKey("text.id"))
