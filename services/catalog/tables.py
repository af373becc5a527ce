"""The tables of the catalogue's schema."""

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, LargeBinary, MetaData, PrimaryKeyConstraint, Table, Text
from sqlalchemy.dialects.postgresql import TSVECTOR

from mesh.idempotency import IdempotentRequests

metadata = MetaData(schema="catalog")

# Compared byte by byte, so that every server orders alike.
_TEXT = Text(collation="C")


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
        # 1 when the product is new, and one more with every change.
        Column("version", Integer, nullable=False),
    ]


products = Table(
    "products",
    metadata,
    *_product_columns(),
    # What a search looks through: name and id, and all of it. See `words.py`.
    Column("name_words", TSVECTOR, nullable=False),
    Column("words", TSVECTOR, nullable=False),
    # How many words are in `name_words`: the fewer, the better a name fits a search.
    Column("name_length", Integer, nullable=False),
    PrimaryKeyConstraint("id"),
    # Room for the next version of a row beside it, so that a sale, which changes nothing that is indexed, leaves the indexes alone.
    postgresql_with={"fillfactor": 85},
)
# There is none for `stock` and `update_time`, for the same reason.
_there = products.c.delete_time.is_(None)
Index("products_by_create_time", "create_time", "id", postgresql_where=_there, _table=products)
Index("products_by_category", "category", "create_time", "id", postgresql_where=_there, _table=products)
Index("products_by_name", "name", "id", postgresql_where=_there, _table=products)
Index("products_by_price", "price_cents", "id", postgresql_where=_there, _table=products)
Index("products_by_name_length", "name_length", "id", postgresql_where=_there, _table=products)
# What waits to be indexed is read by every search, so no more than 64 kB may; without it, an import takes twice as long.
Index("products_by_name_words", "name_words", postgresql_using="gin", postgresql_with={"gin_pending_list_limit": 64}, _table=products)
Index("products_by_words", "words", postgresql_using="gin", postgresql_with={"gin_pending_list_limit": 64}, _table=products)

# Every version of every product of the last days, in the order in which they came to be.
changes = Table("changes", metadata, Column("number", BigInteger, nullable=False), *_product_columns(), PrimaryKeyConstraint("number"))

# One row: the number of the last change. Who makes a change holds this row from then on until the change can be seen,
# so that numbers are seen in their order and none is left out.
change_log = Table(
    "change_log",
    metadata,
    Column("last_number", BigInteger, nullable=False),
    # By this the tokens of this log are told from those of another.
    Column("secret", LargeBinary, nullable=False),
)

# Requests to create a product, each answered by the change that created it.
requests = IdempotentRequests(metadata, Column("change_number", BigInteger))
