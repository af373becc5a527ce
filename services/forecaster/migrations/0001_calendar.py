"""The calendar, and idempotent requests."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SCHEMA = "forecaster"


def upgrade() -> None:
    text, time = sa.Text(collation="C"), sa.DateTime(timezone=True)
    op.create_table(
        "calendar_entries",
        sa.Column("id", text, nullable=False),
        sa.Column("kind", text, nullable=False),
        sa.Column("name", text, nullable=False),
        sa.Column("first_date", sa.Date, nullable=False),
        sa.Column("last_date", sa.Date, nullable=False),
        sa.Column("product_id", text, nullable=False),
        sa.Column("category", text, nullable=False),
        sa.Column("discount_percent", sa.Double, nullable=False),
        sa.Column("create_time", time, nullable=False),
        sa.Column("update_time", time, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        schema=SCHEMA,
    )
    op.create_index("calendar_entries_by_first_date", "calendar_entries", ["first_date", "id"], schema=SCHEMA)
    op.create_table(
        "requests",
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("answer", sa.LargeBinary),
        sa.Column("create_time", time, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("caller", "request_id"),
        schema=SCHEMA,
    )
