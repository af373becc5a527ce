"""Products, their changes, and idempotent requests."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

SCHEMA = "catalog"


def upgrade() -> None:
    # Stemmed English without stop words: the most common words are searched too.
    op.execute("CREATE TEXT SEARCH DICTIONARY catalog.stems (TEMPLATE = snowball, Language = english)")
    op.execute("CREATE TEXT SEARCH CONFIGURATION catalog.words (COPY = simple)")
    op.execute("ALTER TEXT SEARCH CONFIGURATION catalog.words ALTER MAPPING FOR asciiword, word, numword WITH catalog.stems")

    op.create_table(
        "products",
        *_product_columns(),
        sa.Column("name_words", postgresql.TSVECTOR, nullable=False),
        sa.Column("words", postgresql.TSVECTOR, nullable=False),
        sa.Column("name_length", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        schema=SCHEMA,
        postgresql_with={"fillfactor": 85},
    )
    not_deleted = sa.text("delete_time IS NULL")
    for name, columns in (
        ("create_time", ["create_time", "id"]),
        ("category", ["category", "create_time", "id"]),
        ("name", ["name", "id"]),
        ("price", ["price_cents", "id"]),
        ("name_length", ["name_length", "id"]),
    ):
        op.create_index(f"products_by_{name}", "products", columns, schema=SCHEMA, postgresql_where=not_deleted)
    for name in ("name_words", "words"):
        op.create_index(
            f"products_by_{name}", "products", [name], schema=SCHEMA, postgresql_using="gin", postgresql_with={"gin_pending_list_limit": 64}
        )

    op.create_table(
        "changes",
        sa.Column("number", sa.BigInteger, nullable=False),
        *_product_columns(),
        sa.PrimaryKeyConstraint("number"),
        schema=SCHEMA,
    )
    op.create_table(
        "change_log",
        sa.Column("last_number", sa.BigInteger, nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        schema=SCHEMA,
    )
    op.execute("INSERT INTO catalog.change_log VALUES (0, uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))")

    op.create_table(
        "requests",
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("change_number", sa.BigInteger),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("caller", "request_id"),
        schema=SCHEMA,
    )


def _product_columns() -> list[sa.Column[object]]:
    text = sa.Text(collation="C")
    time = sa.DateTime(timezone=True)
    return [
        sa.Column("id", text, nullable=False),
        sa.Column("name", text, nullable=False),
        sa.Column("description", text, nullable=False),
        sa.Column("category", text, nullable=False),
        sa.Column("price_cents", sa.Integer, nullable=False),
        sa.Column("currency_code", text, nullable=False),
        sa.Column("stock", sa.Integer, nullable=False),
        sa.Column("create_time", time, nullable=False),
        sa.Column("update_time", time, nullable=False),
        sa.Column("delete_time", time),
        sa.Column("version", sa.Integer, nullable=False),
    ]
