"""A replica of the version before forgets users without a number in the event log; this version numbers them."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.alter_column("forgotten_users", "number", nullable=True, schema="recommender")
