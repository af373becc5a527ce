"""Experiments, who takes part in them, and the arm of each exposure."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"

SCHEMA = "recommender"


def upgrade() -> None:
    op.create_table(
        "experiments",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("content", JSONB, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema=SCHEMA,
    )
    op.create_table(
        "participants",
        sa.Column("experiment_id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("customer_number", sa.Text, nullable=False),
        sa.Column("arm", sa.Text, nullable=False),
        sa.Column("first_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_mixed", sa.Boolean, nullable=False, server_default="false"),
        schema=SCHEMA,
    )
    op.create_index("participants_by_user", "participants", ["user_id"], schema=SCHEMA)
    op.create_table(
        "sign_ups",
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("visitor_id", sa.Text, nullable=False),
        schema=SCHEMA,
    )
    for name in ("experiment_id", "arm"):
        op.add_column("exposures", sa.Column(name, sa.Text, nullable=False, server_default=""), schema=SCHEMA)
    op.create_index(
        "exposures_by_experiment", "exposures", ["experiment_id", "arm"], schema=SCHEMA, postgresql_where=sa.text("experiment_id <> ''")
    )
