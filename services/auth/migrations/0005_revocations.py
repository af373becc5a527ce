"""Revoked access tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "revocations",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("not_before_time", sa.DateTime(timezone=True), nullable=False),
        schema="auth",
    )
    op.create_index("revocations_by_time", "revocations", ["not_before_time"], schema="auth")
