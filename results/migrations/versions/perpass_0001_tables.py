"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "perpass_0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True)
REAL = sa.Float(precision=53)


def upgrade() -> None:
    op.create_table(
        "engine",
        sa.Column("id", KEY, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("identity", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_engine")),
        sa.UniqueConstraint("hash", name=op.f("uq_engine_hash")),
    )
    op.create_index(op.f("ix_engine_name"), "engine", ["name"], unique=False)
    op.create_table(
        "hardware",
        sa.Column("id", KEY, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("identity", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hardware")),
        sa.UniqueConstraint("hash", name=op.f("uq_hardware_hash")),
    )
    op.create_index(op.f("ix_hardware_name"), "hardware", ["name"], unique=False)
    op.create_table(
        "model",
        sa.Column("id", KEY, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("revision", sa.String(), nullable=True),
        sa.Column("dtype", sa.String(), nullable=True),
        sa.Column("identity", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model")),
        sa.UniqueConstraint("hash", name=op.f("uq_model_hash")),
    )
    op.create_index(op.f("ix_model_name"), "model", ["name"], unique=False)
    op.create_table(
        "price",
        sa.Column("id", KEY, nullable=False),
        sa.Column("book", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("rates", JSON, nullable=False),
        sa.Column("date", sa.String(length=10), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("recorded", REAL, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price")),
        sa.UniqueConstraint("book", "kind", "subject", "date", name=op.f("uq_price_book_kind_subject_date")),
    )
    op.create_table(
        "run",
        sa.Column("id", KEY, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("started", REAL, nullable=False),
        sa.Column("ended", REAL, nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.Column("experiment", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("series", sa.String(), nullable=False),
        sa.Column("argv", JSON, nullable=False),
        sa.Column("environment", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sa.UniqueConstraint("uuid", name=op.f("uq_run_uuid")),
    )
    op.create_table(
        "strategy",
        sa.Column("id", KEY, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("params", JSON, nullable=True),
        sa.Column("sampling", JSON, nullable=True),
        sa.Column("identity", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_strategy")),
        sa.UniqueConstraint("hash", name=op.f("uq_strategy_hash")),
    )
    op.create_index(op.f("ix_strategy_name"), "strategy", ["name"], unique=False)
    op.create_table(
        "task",
        sa.Column("id", KEY, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("revision", sa.String(), nullable=True),
        sa.Column("spec", JSON, nullable=True),
        sa.Column("identity", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task")),
        sa.UniqueConstraint("hash", name=op.f("uq_task_hash")),
    )
    op.create_index(op.f("ix_task_name"), "task", ["name"], unique=False)
    op.create_table(
        "text",
        sa.Column("id", KEY, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=16), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_text")),
        sa.UniqueConstraint("hash", name=op.f("uq_text_hash")),
    )
    op.create_table(
        "cell",
        sa.Column("id", KEY, nullable=False),
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=10), nullable=False),
        sa.Column("series", sa.String(), nullable=False),
        sa.Column("model_id", KEY, nullable=False),
        sa.Column("engine_id", KEY, nullable=False),
        sa.Column("hardware_id", KEY, nullable=False),
        sa.Column("strategy_id", KEY, nullable=False),
        sa.Column("task_id", KEY, nullable=False),
        sa.Column("roles", JSON, nullable=False),
        sa.Column("seed", KEY, nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=True),
        sa.Column("experiments", JSON, nullable=False),
        sa.Column("codes", JSON, nullable=False),
        sa.Column("created", REAL, nullable=False),
        sa.Column("problems", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("correct", sa.Integer(), nullable=False),
        sa.Column("errors", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["engine_id"], ["engine.id"], name=op.f("fk_cell_engine_id_engine")),
        sa.ForeignKeyConstraint(["hardware_id"], ["hardware.id"], name=op.f("fk_cell_hardware_id_hardware")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_cell_model_id_model")),
        sa.ForeignKeyConstraint(["strategy_id"], ["strategy.id"], name=op.f("fk_cell_strategy_id_strategy")),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_cell_task_id_task")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cell")),
        sa.UniqueConstraint("identity", "series", name=op.f("uq_cell_identity_series")),
    )
    op.create_index(op.f("ix_cell_name"), "cell", ["name"], unique=False)
    op.create_index(op.f("ix_cell_series"), "cell", ["series"], unique=False)
    op.create_index(op.f("ix_cell_task_id_series"), "cell", ["task_id", "series"], unique=False)
    op.create_table(
        "problem",
        sa.Column("id", KEY, nullable=False),
        sa.Column("task_id", KEY, nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("question_id", KEY, nullable=False),
        sa.Column("gold", JSON, nullable=False),
        sa.Column("meta", JSON, nullable=False),
        sa.ForeignKeyConstraint(["question_id"], ["text.id"], name=op.f("fk_problem_question_id_text")),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_problem_task_id_task")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_problem")),
        sa.UniqueConstraint("task_id", "key", name=op.f("uq_problem_task_id_key")),
    )
    op.create_table(
        "attempt",
        sa.Column("id", KEY, nullable=False),
        sa.Column("cell_id", KEY, nullable=False),
        sa.Column("problem_id", KEY, nullable=False),
        sa.Column("trial", sa.Integer(), nullable=False),
        sa.Column("run_id", KEY, nullable=False),
        sa.Column("text_id", KEY, nullable=False),
        sa.Column("answers", JSON, nullable=True),
        sa.Column("finish", sa.String(length=16), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("serial_tokens", KEY, nullable=False),
        sa.Column("latency_s", REAL, nullable=True),
        sa.Column("ttft_s", REAL, nullable=True),
        sa.Column("started", REAL, nullable=False),
        sa.Column("ended", REAL, nullable=False),
        sa.Column("codes", JSON, nullable=False),
        sa.Column("energy_j", REAL, nullable=True),
        sa.Column("device_s", REAL, nullable=True),
        sa.Column("energy_source", sa.String(length=24), nullable=True),
        sa.Column("energy_code", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["cell_id"], ["cell.id"], name=op.f("fk_attempt_cell_id_cell")),
        sa.ForeignKeyConstraint(["problem_id"], ["problem.id"], name=op.f("fk_attempt_problem_id_problem")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_attempt_run_id_run")),
        sa.ForeignKeyConstraint(["text_id"], ["text.id"], name=op.f("fk_attempt_text_id_text")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt")),
        sa.UniqueConstraint("cell_id", "problem_id", "trial", name=op.f("uq_attempt_cell_id_problem_id_trial")),
    )
    op.create_index(op.f("ix_attempt_run_id"), "attempt", ["run_id"], unique=False)
    op.create_table(
        "sample",
        sa.Column("id", KEY, nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("pool", sa.String(), nullable=True),
        sa.Column("trial", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("run_id", KEY, nullable=False),
        sa.Column("model_id", KEY, nullable=False),
        sa.Column("engine_id", KEY, nullable=False),
        sa.Column("hardware_id", KEY, nullable=False),
        sa.Column("problem_id", KEY, nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("seed", KEY, nullable=False),
        sa.Column("prompt_id", KEY, nullable=False),
        sa.Column("text_id", KEY, nullable=False),
        sa.Column("token_ids_id", KEY, nullable=True),
        sa.Column("logprobs_id", KEY, nullable=True),
        sa.Column("confidence_id", KEY, nullable=True),
        sa.Column("finish", sa.String(length=16), nullable=False),
        sa.Column("prompt_tokens", KEY, nullable=False),
        sa.Column("cached_tokens", KEY, nullable=False),
        sa.Column("output_tokens", KEY, nullable=False),
        sa.Column("reasoning_tokens", KEY, nullable=False),
        sa.Column("scored_tokens", KEY, nullable=False),
        sa.Column("flop_linear", REAL, nullable=True),
        sa.Column("flop_attention", REAL, nullable=True),
        sa.Column("flop_head", REAL, nullable=True),
        sa.Column("sent", REAL, nullable=False),
        sa.Column("first", REAL, nullable=True),
        sa.Column("last", REAL, nullable=False),
        sa.Column("energy_j", REAL, nullable=True),
        sa.Column("device_s", REAL, nullable=True),
        sa.Column("energy_source", sa.String(length=24), nullable=True),
        sa.Column("energy_code", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["confidence_id"], ["text.id"], name=op.f("fk_sample_confidence_id_text")),
        sa.ForeignKeyConstraint(["engine_id"], ["engine.id"], name=op.f("fk_sample_engine_id_engine")),
        sa.ForeignKeyConstraint(["hardware_id"], ["hardware.id"], name=op.f("fk_sample_hardware_id_hardware")),
        sa.ForeignKeyConstraint(["logprobs_id"], ["text.id"], name=op.f("fk_sample_logprobs_id_text")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_sample_model_id_model")),
        sa.ForeignKeyConstraint(["problem_id"], ["problem.id"], name=op.f("fk_sample_problem_id_problem")),
        sa.ForeignKeyConstraint(["prompt_id"], ["text.id"], name=op.f("fk_sample_prompt_id_text")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_sample_run_id_run")),
        sa.ForeignKeyConstraint(["text_id"], ["text.id"], name=op.f("fk_sample_text_id_text")),
        sa.ForeignKeyConstraint(["token_ids_id"], ["text.id"], name=op.f("fk_sample_token_ids_id_text")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sample")),
        sa.UniqueConstraint("key", name=op.f("uq_sample_key")),
    )
    op.create_index(op.f("ix_sample_pool_trial_position"), "sample", ["pool", "trial", "position"], unique=False)
    op.create_index(op.f("ix_sample_run_id"), "sample", ["run_id"], unique=False)
    op.create_table(
        "window",
        sa.Column("id", KEY, nullable=False),
        sa.Column("run_id", KEY, nullable=False),
        sa.Column("cell_id", KEY, nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("meter", sa.String(), nullable=False),
        sa.Column("meter_version", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=24), nullable=False),
        sa.Column("domain", sa.String(length=16), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("started", REAL, nullable=False),
        sa.Column("ended", REAL, nullable=False),
        sa.Column("energy_j", REAL, nullable=True),
        sa.Column("valid", sa.Boolean(), nullable=False),
        sa.Column("codes", JSON, nullable=False),
        sa.Column("parameters", JSON, nullable=False),
        sa.ForeignKeyConstraint(["cell_id"], ["cell.id"], name=op.f("fk_window_cell_id_cell")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_window_run_id_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_window")),
        sa.UniqueConstraint(
            "run_id", "kind", "meter", "domain", "device", "started", name=op.f("uq_window_run_id_kind_meter_domain_device_started")
        ),
    )
    op.create_index(op.f("ix_window_cell_id"), "window", ["cell_id"], unique=False)
    op.create_table(
        "attempt_sample",
        sa.Column("attempt_id", KEY, nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("sample_id", KEY, nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("output", KEY, nullable=False),
        sa.Column("cached", KEY, nullable=False),
        sa.Column("share", REAL, nullable=False),
        sa.Column("chosen", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempt.id"], name=op.f("fk_attempt_sample_attempt_id_attempt"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["sample_id"], ["sample.id"], name=op.f("fk_attempt_sample_sample_id_sample")),
        sa.PrimaryKeyConstraint("attempt_id", "ordinal", name=op.f("pk_attempt_sample")),
    )
    op.create_index(op.f("ix_attempt_sample_sample_id"), "attempt_sample", ["sample_id"], unique=False)
    op.create_table(
        "judgement",
        sa.Column("id", KEY, nullable=False),
        sa.Column("attempt_id", KEY, nullable=False),
        sa.Column("judge", sa.String(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("correct", sa.Integer(), nullable=False),
        sa.Column("wrong", sa.Integer(), nullable=False),
        sa.Column("abstained", sa.Integer(), nullable=False),
        sa.Column("unparsable", sa.Integer(), nullable=False),
        sa.Column("truncated", sa.Integer(), nullable=False),
        sa.Column("too_long", sa.Integer(), nullable=False),
        sa.Column("error", sa.Integer(), nullable=False),
        sa.Column("outcomes", JSON, nullable=False),
        sa.Column("extracted", JSON, nullable=False),
        sa.Column("scores", JSON, nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempt.id"], name=op.f("fk_judgement_attempt_id_attempt"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_judgement")),
        sa.UniqueConstraint("attempt_id", "judge", name=op.f("uq_judgement_attempt_id_judge")),
    )
    op.create_index(op.f("ix_judgement_attempt_id_current"), "judgement", ["attempt_id", "current"], unique=False)
    op.create_index(op.f("ix_judgement_judge"), "judgement", ["judge"], unique=False)
    op.create_table(
        "ledger",
        sa.Column("id", KEY, nullable=False),
        sa.Column("attempt_id", KEY, nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("model_id", KEY, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("calls", KEY, nullable=False),
        sa.Column("prompt", KEY, nullable=False),
        sa.Column("cached", KEY, nullable=False),
        sa.Column("output", KEY, nullable=False),
        sa.Column("reasoning", KEY, nullable=False),
        sa.Column("scored", KEY, nullable=False),
        sa.Column("flop_linear", REAL, nullable=True),
        sa.Column("flop_attention", REAL, nullable=True),
        sa.Column("flop_head", REAL, nullable=True),
        sa.Column("energy_j", REAL, nullable=True),
        sa.Column("device_s", REAL, nullable=True),
        sa.Column("energy_code", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempt.id"], name=op.f("fk_ledger_attempt_id_attempt"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_ledger_model_id_model")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
        sa.UniqueConstraint("attempt_id", "role", "model_id", "kind", name=op.f("uq_ledger_attempt_id_role_model_id_kind")),
    )
    op.create_table(
        "reward_score",
        sa.Column("sample_id", KEY, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("score", REAL, nullable=True),
        sa.ForeignKeyConstraint(["sample_id"], ["sample.id"], name=op.f("fk_reward_score_sample_id_sample"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sample_id", "step", name=op.f("pk_reward_score")),
    )


def downgrade() -> None:
    bind = op.get_bind()
    metadata = sa.MetaData()
    metadata.reflect(bind)
    for table in reversed(metadata.sorted_tables):
        if table.name != "alembic_version":
            op.drop_table(table.name)
