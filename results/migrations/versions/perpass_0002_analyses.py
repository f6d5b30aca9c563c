"""Analyses, power traces, rows of others, memories, and the times of a call's chunks."""

import sqlalchemy as sa
from alembic import op

revision = "perpass_0002"
down_revision = "perpass_0001"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True)
REAL = sa.Float(precision=53)


def upgrade() -> None:
    op.create_table(
        "analysis",
        sa.Column("id", KEY, nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("cell_id", KEY, nullable=True),
        sa.Column("series", sa.String(), nullable=True),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("inputs", sa.String(length=64), nullable=False),
        sa.Column("result", JSON, nullable=False),
        sa.Column("computed", REAL, nullable=False),
        sa.ForeignKeyConstraint(["cell_id"], ["cell.id"], name=op.f("fk_analysis_cell_id_cell"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analysis")),
        sa.UniqueConstraint("key", name=op.f("uq_analysis_key")),
    )
    op.create_index(op.f("ix_analysis_kind"), "analysis", ["kind"], unique=False)
    op.create_table(
        "external",
        sa.Column("id", KEY, nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("hardware", sa.String(), nullable=False),
        sa.Column("values", JSON, nullable=False),
        sa.Column("provenance", JSON, nullable=False),
        sa.Column("imported", REAL, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_external")),
        sa.UniqueConstraint("source", "key", name=op.f("uq_external_source_key")),
    )
    op.create_table(
        "power",
        sa.Column("id", KEY, nullable=False),
        sa.Column("run_id", KEY, nullable=False),
        sa.Column("meter", sa.String(), nullable=False),
        sa.Column("quantity", sa.String(length=16), nullable=False),
        sa.Column("domain", sa.String(length=16), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("started", REAL, nullable=False),
        sa.Column("ended", REAL, nullable=False),
        sa.Column("readings", sa.Integer(), nullable=False),
        sa.Column("times_id", KEY, nullable=False),
        sa.Column("values_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_power_run_id_run")),
        sa.ForeignKeyConstraint(["times_id"], ["text.id"], name=op.f("fk_power_times_id_text")),
        sa.ForeignKeyConstraint(["values_id"], ["text.id"], name=op.f("fk_power_values_id_text")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_power")),
        sa.UniqueConstraint(
            *("run_id", "meter", "quantity", "domain", "device", "started"),
            name=op.f("uq_power_run_id_meter_quantity_domain_device_started"),
        ),
    )
    op.create_table(
        "memory",
        sa.Column("cell_id", KEY, nullable=False),
        sa.Column("trial", sa.Integer(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("problem_id", KEY, nullable=False),
        sa.Column("text_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(["cell_id"], ["cell.id"], name=op.f("fk_memory_cell_id_cell"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["problem_id"], ["problem.id"], name=op.f("fk_memory_problem_id_problem")),
        sa.ForeignKeyConstraint(["text_id"], ["text.id"], name=op.f("fk_memory_text_id_text")),
        sa.PrimaryKeyConstraint("cell_id", "trial", "ordinal", name=op.f("pk_memory")),
    )
    key = op.f("fk_sample_chunks_id_text")
    if op.get_bind().dialect.name == "sqlite":  # Alembic would copy the table, and dropping the old one deletes what refers to it
        columns = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("sample")}
        if "chunks_id" not in columns:
            op.execute(f"ALTER TABLE sample ADD COLUMN chunks_id INTEGER CONSTRAINT {key} REFERENCES text (id)")
    else:
        op.add_column("sample", sa.Column("chunks_id", KEY, nullable=True))
        op.create_foreign_key(key, "sample", "text", ["chunks_id"], ["id"])


def downgrade() -> None:
    for name in ("memory", "power", "external", "analysis"):
        op.drop_table(name)
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint(op.f("fk_sample_chunks_id_text"), "sample", type_="foreignkey")
        op.drop_column("sample", "chunks_id")
    # SQLite cannot drop a column that refers to another table; an empty one does no harm, and upgrading again would find it there.
