"""Policies of reordering."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "reorder_policies",
        sa.Column("product_id", sa.Text(collation="C"), nullable=False),
        sa.Column("lead_time_days", sa.Integer, nullable=False),
        sa.Column("review_period_days", sa.Integer, nullable=False),
        sa.Column("service_level_percent", sa.Double, nullable=False),
        sa.Column("order_multiple", sa.Integer, nullable=False),
        sa.Column("on_order_units", sa.Integer, nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("product_id"),
        schema="forecaster",
    )
