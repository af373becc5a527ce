"""Creates the tables of jobs, log lines and idempotent requests."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

SCHEMA = "jobs"


def upgrade() -> None:
    identity = sa.Text(collation="C")
    time = sa.DateTime(timezone=True)
    op.create_table(
        "jobs",
        sa.Column("id", identity, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("through_date", sa.Text, nullable=False),
        sa.Column("full", sa.Boolean, nullable=False),
        sa.Column("submitted_by", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False, server_default=""),
        sa.Column("done_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("total_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("application_id", sa.Text, nullable=False, server_default=""),
        sa.Column("attempt_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("failure_reason", sa.Text, nullable=False, server_default=""),
        sa.Column("failure_message", sa.Text, nullable=False, server_default=""),
        sa.Column("etl", postgresql.JSONB),
        sa.Column("create_time", time, nullable=False, server_default=sa.func.now()),
        sa.Column("start_time", time),
        sa.Column("end_time", time),
        sa.Column("next_attempt_time", time),
        sa.Column("submitter", sa.Text, nullable=False, server_default=""),
        sa.Column("submit_deadline", time),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.Column("holder", sa.Text, nullable=False, server_default=""),
        sa.Column("held_until", time),
        sa.Column("line_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("log_offsets", postgresql.JSONB, nullable=False, server_default="{}"),
        sa.PrimaryKeyConstraint("id"),
        schema=SCHEMA,
    )
    op.create_index("jobs_by_create_time", "jobs", ["create_time", "id"], schema=SCHEMA)
    op.create_index("jobs_to_do", "jobs", ["create_time", "id"], schema=SCHEMA, postgresql_where=sa.text("end_time IS NULL"))
    op.create_table(
        "log_lines",
        sa.Column("job_id", identity, sa.ForeignKey("jobs.jobs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("time", time, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("job_id", "number"),
        schema=SCHEMA,
    )
    op.create_table(
        "requests",
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("job_id", identity, nullable=False),
        sa.Column("create_time", time, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("caller", "request_id"),
        schema=SCHEMA,
    )
