"""The log of exposures, which is exported."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

SCHEMA = "recommender"


def upgrade() -> None:
    op.add_column("exposures", sa.Column("number", sa.BigInteger), schema=SCHEMA)
    op.create_index(
        "exposures_by_number", "exposures", ["number"], unique=True, schema=SCHEMA, postgresql_where=sa.text("number IS NOT NULL")
    )
    op.create_index("exposures_without_number", "exposures", ["id"], schema=SCHEMA, postgresql_where=sa.text("number IS NULL"))
    log = op.create_table("exposure_log", sa.Column("last_number", sa.BigInteger, nullable=False), schema=SCHEMA)
    op.bulk_insert(log, [{"last_number": 0}])
