"""Events, idempotent requests and forgotten users."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SCHEMA = "recommender"


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("product_id", sa.Text, nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("customer_number", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("user_id", "id", name="events_by_user_and_id"),
        sa.CheckConstraint("kind IN ('view', 'cart', 'purchase', 'impression')", name="events_kind_check"),
        schema=SCHEMA,
    )
    for name, column, where in (
        ("user", "user_id", "kind <> 'impression'"),
        ("customer", "customer_number", "kind <> 'impression' AND customer_number <> ''"),
    ):
        op.create_index(f"events_by_{name}", "events", [column, "number"], schema=SCHEMA, postgresql_where=sa.text(where))

    op.create_table("event_log", sa.Column("last_number", sa.BigInteger, nullable=False), schema=SCHEMA)
    op.execute("INSERT INTO recommender.event_log VALUES (0)")

    op.create_table(
        "requests",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("recorded_count", sa.Integer),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("user_id", "request_id"),
        schema=SCHEMA,
    )
    op.create_table(
        "forgotten_users",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("forget_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("user_id"),
        schema=SCHEMA,
    )
