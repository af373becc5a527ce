"""The index of exposures by the rules that moved their products."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

SCHEMA = "recommender"


def upgrade() -> None:
    op.create_index(
        "exposures_by_rule",
        "exposures",
        [sa.text("""jsonb_path_query_array(products, '$[*][2] ? (@ != "")')""")],
        schema=SCHEMA,
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 64},
    )
