"""Who is forgotten has a number among those of the events, so that an export is told."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

SCHEMA = "recommender"


def upgrade() -> None:
    op.add_column("forgotten_users", sa.Column("number", sa.BigInteger), schema=SCHEMA)
    # Those of before are told as if they were forgotten now.
    op.execute("""
        UPDATE recommender.forgotten_users SET number = last_number + place
        FROM recommender.event_log, (SELECT user_id, row_number() OVER () AS place FROM recommender.forgotten_users) AS placed
        WHERE placed.user_id = forgotten_users.user_id
    """)
    op.execute("UPDATE recommender.event_log SET last_number = last_number + (SELECT count(*) FROM recommender.forgotten_users)")
    op.alter_column("forgotten_users", "number", nullable=False, schema=SCHEMA)
    op.create_unique_constraint("forgotten_users_by_number", "forgotten_users", ["number"], schema=SCHEMA)
