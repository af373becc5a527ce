"""Forgotten users get a number in the event log, so that exports include them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

SCHEMA = "recommender"


def upgrade() -> None:
    op.add_column("forgotten_users", sa.Column("number", sa.BigInteger), schema=SCHEMA)
    # Users who were forgotten before are appended to the log.
    op.execute("""
        UPDATE recommender.forgotten_users SET number = last_number + place
        FROM recommender.event_log, (SELECT user_id, row_number() OVER () AS place FROM recommender.forgotten_users) AS placed
        WHERE placed.user_id = forgotten_users.user_id
    """)
    op.execute("UPDATE recommender.event_log SET last_number = last_number + (SELECT count(*) FROM recommender.forgotten_users)")
    op.alter_column("forgotten_users", "number", nullable=False, schema=SCHEMA)
    op.create_unique_constraint("forgotten_users_by_number", "forgotten_users", ["number"], schema=SCHEMA)
