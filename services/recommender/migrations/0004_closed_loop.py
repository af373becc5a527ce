"""Events say what led to them; visitors; exposures."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"

SCHEMA = "recommender"
KINDS = ("view", "cart", "purchase", "impression", "click", "remove_from_cart", "wishlist", "dismiss", "return")


def upgrade() -> None:
    for column in (
        sa.Column("recommendation_id", sa.Text, nullable=False, server_default=""),
        sa.Column("slot", sa.Text, nullable=False, server_default=""),
        sa.Column("position", sa.Integer, nullable=False, server_default="0"),
        sa.Column("order_id", sa.Text, nullable=False, server_default=""),
        sa.Column("unit_price_cents", sa.Integer),
        sa.Column("context", sa.Text, nullable=False, server_default=""),
        sa.Column("counts_for_others", sa.Boolean, nullable=False, server_default="true"),
    ):
        op.add_column("events", column, schema=SCHEMA)
    op.drop_constraint("events_kind_check", "events", schema=SCHEMA)
    kinds = ", ".join(f"'{kind}'" for kind in KINDS)
    op.create_check_constraint("events_kind_check", "events", f"kind IN ({kinds})", schema=SCHEMA)
    for name, columns, where, unique in (
        ("events_by_order", ["order_id", "product_id", "kind"], "order_id <> '' AND counts_for_others", True),
        ("events_by_user_and_order", ["user_id", "order_id", "product_id", "kind"], "order_id <> '' AND NOT counts_for_others", True),
        ("events_by_recommendation", ["recommendation_id"], "recommendation_id <> ''", False),
    ):
        op.create_index(name, "events", columns, unique=unique, schema=SCHEMA, postgresql_where=sa.text(where))

    op.create_table(
        "visitors",
        sa.Column("visitor_id", sa.Text, primary_key=True),
        sa.Column("visit_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema=SCHEMA,
    )
    op.create_index("visitors_by_visit_time", "visitors", ["visit_time"], schema=SCHEMA)

    op.create_table(
        "exposures",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("slot", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("fallback_step", sa.Text, nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_position", sa.Integer, nullable=False),
        sa.Column("products", JSONB, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("exposures_by_user", "exposures", ["user_id", "id"], schema=SCHEMA)
    op.create_index("exposures_by_slot", "exposures", ["slot", "id"], schema=SCHEMA)
    op.create_index("exposures_by_time", "exposures", ["create_time"], schema=SCHEMA)
