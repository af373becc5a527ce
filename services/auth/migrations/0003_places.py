"""Sign-ins know when and where they began."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for name in ("create_time", "use_time"):
        op.add_column("sign_ins", sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()), schema="auth")
    for name in ("address", "network", "user_agent"):
        op.add_column("sign_ins", sa.Column(name, sa.Text, nullable=False, server_default=""), schema="auth")
