"""The responses of idempotent requests, as a whole."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("requests", sa.Column("answer", sa.LargeBinary), schema="catalog")
