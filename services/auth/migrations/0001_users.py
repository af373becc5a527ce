"""Users, sign-ins, signing keys, attempts, and deleted users to be forgotten."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("email_key", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("search_text", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("customer_number", sa.Text),
        sa.Column("disabled", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.UniqueConstraint("email_key", name="users_email_key_key"),
        sa.UniqueConstraint("customer_number", name="users_customer_number_key"),
        sa.CheckConstraint("role IN ('customer', 'staff', 'admin')", name="users_role_check"),
        schema="auth",
    )
    op.create_index("users_by_create_time", "users", ["create_time", "id"], schema="auth")
    op.create_index("users_by_role", "users", ["role", "create_time", "id"], schema="auth")

    op.create_table(
        "sign_ins",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("auth.users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=False),
        schema="auth",
    )
    op.create_index("sign_ins_by_user", "sign_ins", ["user_id"], schema="auth")
    op.create_index("sign_ins_by_expire_time", "sign_ins", ["expire_time"], schema="auth")

    op.create_table(
        "attempts",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("retry_time", sa.DateTime(timezone=True)),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
        schema="auth",
    )
    op.create_index("attempts_by_expire_time", "attempts", ["expire_time"], schema="auth")

    op.create_table(
        "signing_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("sealed_private_key", sa.LargeBinary, nullable=False),
        sa.Column("sign_time", sa.DateTime(timezone=True)),
        sa.Column("retire_time", sa.DateTime(timezone=True)),
        schema="auth",
    )

    op.create_table(
        "forgettings",
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema="auth",
    )
    op.create_index("forgettings_by_next_time", "forgettings", ["next_time"], schema="auth")


def downgrade() -> None:
    for table in ("forgettings", "signing_keys", "attempts", "sign_ins", "users"):
        op.drop_table(table, schema="auth")
