"""Requests to create or update a user that their callers may repeat."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "requests",
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("auth.users.id", ondelete="CASCADE")),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("caller", "request_id"),
        schema="auth",
    )
    op.create_index("requests_by_user", "requests", ["user_id"], schema="auth")
