"""The tables of the jobs' schema."""

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

# Compared byte by byte, so that every server orders alike.
_ID = Text(collation="C")
_TIME = DateTime(timezone=True)

jobs = Table(
    "jobs",
    metadata,
    Column("id", _ID, nullable=False),
    # What was asked for, and by whom.
    Column("kind", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("recipe", Text, nullable=False, server_default=""),
    Column("through_date", Text, nullable=False),
    Column("full", Boolean, nullable=False),
    Column("submitted_by", Text, nullable=False),
    # What has become of it.
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
    # One more with every change of the above.
    Column("version", Integer, nullable=False, server_default="1"),
    # The lease: who works on it, and until when unless they say again that they do.
    Column("holder", Text, nullable=False, server_default=""),
    Column("held_until", _TIME),
    # Of its log: the number of the last line, and up to which byte each file was read.
    Column("line_count", Integer, nullable=False, server_default="0"),
    Column("log_offsets", JSONB, nullable=False, server_default="{}"),
    PrimaryKeyConstraint("id"),
)
Index("jobs_by_create_time", "create_time", "id", _table=jobs)
Index("jobs_to_do", "create_time", "id", postgresql_where=jobs.c.end_time.is_(None), _table=jobs)

# The last lines of each job, numbered from 1 without a gap.
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

# Requests to submit a job.
requests = IdempotentRequests(metadata, Column("job_id", _ID, nullable=False))
