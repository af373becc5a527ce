"""Mail with tokens, and verified e-mail addresses."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("users", sa.Column("verified_email", sa.Text), schema="auth")
    op.create_table(
        "outbox",
        sa.Column("id", sa.Uuid, primary_key=True, server_default=sa.func.gen_random_uuid()),
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("auth.users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
        sa.Column("create_time", TIME, nullable=False, server_default=sa.func.now()),
        sa.Column("next_time", TIME, nullable=False, server_default=sa.func.now()),
        schema="auth",
    )
    op.create_index("outbox_by_next_time", "outbox", ["next_time"], schema="auth")
    op.create_table(
        "mail_tokens",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("auth.users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("expire_time", TIME, nullable=False),
        schema="auth",
    )
    op.create_index("mail_tokens_by_user", "mail_tokens", ["user_id"], schema="auth")
    op.create_index("mail_tokens_by_expire_time", "mail_tokens", ["expire_time"], schema="auth")
