"""Adds schedules, and the schedule of a job."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

SCHEMA = "jobs"


def upgrade() -> None:
    identity, time = sa.Text(collation="C"), sa.DateTime(timezone=True)
    op.add_column("jobs", sa.Column("schedule_id", identity, nullable=False, server_default=""), schema=SCHEMA)
    op.add_column("jobs", sa.Column("due_time", time), schema=SCHEMA)
    of_schedule, is_due = sa.text("schedule_id != ''"), sa.text("due_time IS NOT NULL")
    op.create_index("jobs_by_schedule", "jobs", ["schedule_id", "create_time", "id"], schema=SCHEMA, postgresql_where=of_schedule)
    op.create_index("jobs_by_due_time", "jobs", ["schedule_id", "due_time"], unique=True, schema=SCHEMA, postgresql_where=is_due)
    op.create_table(
        "schedules",
        sa.Column("id", identity, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("recipe", sa.Text, nullable=False),
        sa.Column("full", sa.Boolean, nullable=False),
        sa.Column("through_yesterday", sa.Boolean, nullable=False),
        sa.Column("cron", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("catch_up", sa.Text, nullable=False),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("create_time", time, nullable=False, server_default=sa.func.now()),
        sa.Column("update_time", time, nullable=False, server_default=sa.func.now()),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.Column("next_run_time", time),
        sa.Column("last_due_time", time),
        sa.Column("last_run_time", time),
        sa.Column("last_outcome", sa.Text),
        sa.Column("last_job_id", identity, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id"),
        schema=SCHEMA,
    )
    op.create_index("schedules_by_next_run_time", "schedules", ["next_run_time"], schema=SCHEMA)
