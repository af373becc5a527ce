"""Schedules that run while an alarm is on."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

SCHEMA = "jobs"


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.add_column("schedules", sa.Column("alarm_interval_days", sa.Integer), schema=SCHEMA)
    op.add_column("schedules", sa.Column("last_by_alarm", sa.Boolean, nullable=False, server_default="false"), schema=SCHEMA)
    op.add_column("schedules", sa.Column("last_submission_time", time), schema=SCHEMA)
    op.add_column("schedules", sa.Column("last_check_time", time), schema=SCHEMA)
    op.add_column("schedules", sa.Column("last_check_outcome", sa.Text), schema=SCHEMA)
    op.add_column("schedules", sa.Column("last_firing_count", sa.Integer, nullable=False, server_default="0"), schema=SCHEMA)
