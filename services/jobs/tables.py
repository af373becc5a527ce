"""The tables of the schema `jobs`."""

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from mesh.idempotency import IdempotentRequests

metadata = MetaData(schema="jobs")

# Compared byte by byte, so that the order does not depend on the server's locale.
_ID = Text(collation="C")
_TIME = DateTime(timezone=True)

jobs = Table(
    "jobs",
    metadata,
    Column("id", _ID, nullable=False),
    # The spec.
    Column("kind", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("recipe", Text, nullable=False, server_default=""),
    Column("through_date", Text, nullable=False),
    Column("full", Boolean, nullable=False),
    Column("submitted_by", Text, nullable=False),
    # The schedule whose run it is, or nothing, and when it was due.
    Column("schedule_id", _ID, nullable=False, server_default=""),
    Column("due_time", _TIME),
    # The state.
    Column("state", Text, nullable=False),
    Column("stage", Text, nullable=False, server_default=""),
    Column("done_count", Integer, nullable=False, server_default="0"),
    Column("total_count", Integer, nullable=False, server_default="0"),
    Column("application_id", Text, nullable=False, server_default=""),
    Column("attempt_count", Integer, nullable=False, server_default="0"),
    Column("failure_reason", Text, nullable=False, server_default=""),
    Column("failure_message", Text, nullable=False, server_default=""),
    Column("etl", JSONB(none_as_null=True)),
    Column("training", JSONB(none_as_null=True)),
    Column("create_time", _TIME, nullable=False, server_default=func.now()),
    Column("start_time", _TIME),
    Column("end_time", _TIME),
    Column("next_attempt_time", _TIME),
    Column("submitter", Text, nullable=False, server_default=""),
    Column("submit_deadline", _TIME),
    # Incremented by every change of the above.
    Column("version", Integer, nullable=False, server_default="1"),
    # The lease: which claim of a worker holds the job, and until when unless it is renewed.
    Column("holder", Text, nullable=False, server_default=""),
    Column("held_until", _TIME),
    # The log: the number of the last line, and how many bytes of each file are stored.
    Column("line_count", Integer, nullable=False, server_default="0"),
    Column("log_offsets", JSONB, nullable=False, server_default="{}"),
    PrimaryKeyConstraint("id"),
)
Index("jobs_by_create_time", "create_time", "id", _table=jobs)
Index("jobs_to_do", "create_time", "id", postgresql_where=jobs.c.end_time.is_(None), _table=jobs)

Index("jobs_by_schedule", "schedule_id", "create_time", "id", postgresql_where=jobs.c.schedule_id != "", _table=jobs)
# A due time has one job.
Index("jobs_by_due_time", "schedule_id", "due_time", unique=True, postgresql_where=jobs.c.due_time.is_not(None), _table=jobs)

schedules = Table(
    "schedules",
    metadata,
    Column("id", _ID, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("recipe", Text, nullable=False),
    Column("full", Boolean, nullable=False),
    Column("through_yesterday", Boolean, nullable=False),
    Column("cron", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("catch_up", Text, nullable=False),
    Column("paused", Boolean, nullable=False),
    # How many days a job for an alarm is apart from the job before; null if alarms do not matter.
    Column("alarm_interval_days", Integer),
    Column("created_by", Text, nullable=False),
    Column("create_time", _TIME, nullable=False, server_default=func.now()),
    Column("update_time", _TIME, nullable=False, server_default=func.now()),
    # 1 for a new schedule, and one more with every change by a call.
    Column("version", Integer, nullable=False, server_default="1"),
    Column("next_run_time", _TIME),
    Column("last_due_time", _TIME),
    Column("last_run_time", _TIME),
    Column("last_outcome", Text),
    Column("last_by_alarm", Boolean, nullable=False, server_default="false"),
    Column("last_submission_time", _TIME),
    # The latest look at the alarms.
    Column("last_check_time", _TIME),
    Column("last_check_outcome", Text),
    Column("last_firing_count", Integer, nullable=False, server_default="0"),
    Column("last_job_id", _ID, nullable=False, server_default=""),
    PrimaryKeyConstraint("id"),
)
Index("schedules_by_next_run_time", "next_run_time", _table=schedules)

# The latest lines of each job, numbered from 1 without gaps.
log_lines = Table(
    "log_lines",
    metadata,
    Column("job_id", _ID, ForeignKey(jobs.c.id, ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("time", _TIME, nullable=False),
    Column("source", Text, nullable=False),
    Column("text", Text, nullable=False),
    PrimaryKeyConstraint("job_id", "number"),
)

# The id of what a request has created: a job, or a schedule.
requests = IdempotentRequests(metadata, Column("job_id", _ID, nullable=False))
