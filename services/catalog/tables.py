"""The tables of the catalogue's schema."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    literal_column,
)
from sqlalchemy.dialects.postgresql import REGCONFIG, TSVECTOR

from mesh.idempotency import IdempotentRequests

metadata = MetaData(schema="catalog")

# Compared byte by byte, so that every server sorts alike.
_TEXT = Text(collation="C")

# How texts and searches are split into stems.
search_configuration = literal_column("'catalog.words'::regconfig", REGCONFIG)


def _product_columns() -> list[Column[object]]:
    return [
        Column("id", _TEXT, nullable=False),
        Column("name", _TEXT, nullable=False),
        Column("description", _TEXT, nullable=False),
        Column("category", _TEXT, nullable=False),
        Column("price_cents", Integer, nullable=False),
        Column("currency_code", _TEXT, nullable=False),
        Column("stock", Integer, nullable=False),
        Column("create_time", DateTime(timezone=True), nullable=False),
        Column("update_time", DateTime(timezone=True), nullable=False),
        Column("delete_time", DateTime(timezone=True)),
        # 1 for a new product, and one more with every change.
        Column("version", Integer, nullable=False),
    ]


products = Table(
    "products",
    metadata,
    *_product_columns(),
    # The words that a search compares: of name and id, and of all texts. See `words.py`.
    Column("name_words", TSVECTOR, nullable=False),
    Column("words", TSVECTOR, nullable=False),
    # The number of words in `name_words`: the fewer, the better a name matches a search.
    Column("name_length", Integer, nullable=False),
    PrimaryKeyConstraint("id"),
    # Leaves room for the next version of a row in its page, so that a sale, which changes no indexed column, updates no index.
    postgresql_with={"fillfactor": 85},
)
# `stock` and `update_time` have no index, for the same reason.
_not_deleted = products.c.delete_time.is_(None)
Index("products_by_create_time", "create_time", "id", postgresql_where=_not_deleted, _table=products)
Index("products_by_category", "category", "create_time", "id", postgresql_where=_not_deleted, _table=products)
Index("products_by_name", "name", "id", postgresql_where=_not_deleted, _table=products)
Index("products_by_price", "price_cents", "id", postgresql_where=_not_deleted, _table=products)
Index("products_by_name_length", "name_length", "id", postgresql_where=_not_deleted, _table=products)
# Every search reads the pending list, so it is limited to 64 kB; without one, an import takes twice as long.
Index("products_by_name_words", "name_words", postgresql_using="gin", postgresql_with={"gin_pending_list_limit": 64}, _table=products)
Index("products_by_words", "words", postgresql_using="gin", postgresql_with={"gin_pending_list_limit": 64}, _table=products)

# Every version of every product of the last days, in the order in which they were written.
changes = Table("changes", metadata, Column("number", BigInteger, nullable=False), *_product_columns(), PrimaryKeyConstraint("number"))

# One row: the number of the last change. A transaction that makes a change locks this row until it commits, so that changes become
# visible in the order of their numbers, without a gap.
change_log = Table(
    "change_log",
    metadata,
    Column("last_number", BigInteger, nullable=False),
    # Distinguishes the tokens of this log from those of another.
    Column("secret", LargeBinary, nullable=False),
)

# Requests to write a product, with their responses.
requests = IdempotentRequests(metadata, Column("answer", LargeBinary))
# Written by the version before; the next migration drops it.
requests.table.append_column(Column("change_number", BigInteger))
