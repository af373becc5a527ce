"""Audit events."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

TEXTS = ("subject", "role", "rpc", "resource", "code", "reason", "client_address", "request_id")


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in TEXTS),
        sa.Column("call_count", sa.Integer, nullable=False),
        schema="auth",
    )
    for name, columns in (("time", []), ("subject", ["subject"]), ("resource", ["resource"])):
        op.create_index(f"audit_events_by_{name}", "audit_events", [*columns, "event_time", "id"], schema="auth")
