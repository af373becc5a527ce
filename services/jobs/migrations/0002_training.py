"""Adds the recipe and the result of training jobs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

SCHEMA = "jobs"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("recipe", sa.Text, nullable=False, server_default=""), schema=SCHEMA)
    op.add_column("jobs", sa.Column("training", postgresql.JSONB), schema=SCHEMA)
