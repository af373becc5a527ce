"""Slots and merchandising rules."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"

SCHEMA = "recommender"


def upgrade() -> None:
    op.create_table("merchandising", sa.Column("number", sa.BigInteger, nullable=False), schema=SCHEMA)
    op.execute("INSERT INTO recommender.merchandising VALUES (0)")
    for name in ("slots", "rules"):
        op.create_table(
            name,
            sa.Column("id", sa.Text, primary_key=True),
            sa.Column("content", JSONB, nullable=False),
            sa.Column("number", sa.BigInteger, nullable=False),
            sa.Column("update_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
            schema=SCHEMA,
        )
    op.execute("""
        INSERT INTO recommender.slots (id, content, number)
        SELECT id, jsonb_build_object('id', id, 'source', source), 0
        FROM (VALUES ('home', 'SLOT_SOURCE_PERSONAL'), ('product', 'SLOT_SOURCE_SIMILAR'), ('basket', 'SLOT_SOURCE_PERSONAL'),
            ('email', 'SLOT_SOURCE_PERSONAL')) AS seed (id, source)
    """)
