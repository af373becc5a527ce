"""Second factors of users."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("users", sa.Column("has_second_factor", sa.Boolean, nullable=False, server_default="false"), schema="auth")
    op.create_table(
        "second_factors",
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("auth.users.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
        sa.Column("confirm_time", TIME),
        sa.Column("last_step", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("recovery_digests", sa.ARRAY(sa.LargeBinary), nullable=False, server_default="{}"),
        schema="auth",
    )
