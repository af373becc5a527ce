"""Versions in shadow, and the lists that they made."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"

SCHEMA = "recommender"


def upgrade() -> None:
    op.create_table(
        "shadows",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("content", JSONB, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema=SCHEMA,
    )
    op.create_table(
        "shadow_lists",
        sa.Column("model_version", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("product_ids", JSONB, nullable=False),
        *(sa.Column(name, sa.Double, nullable=False) for name in ("overlap", "milliseconds", "shown_milliseconds")),
        sa.Column("error", sa.Text, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("shadow_lists_by_time", "shadow_lists", ["create_time"], schema=SCHEMA)
