"""Stores products."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ARRAY, Integer, Text, any_, bindparam, column, func, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.types import TypeEngine

from hashiramart.catalog.v1 import catalog_pb2
from mesh.database import Database, Transaction
from mesh.errors import AlreadyExists, NotFound
from mesh.idempotency import RETENTION, IdempotentRequest
from services.catalog.domain import Product, ProductDetails, name_words
from services.catalog.messages import product_message
from services.catalog.repository.changes import CHANGED_PRODUCT, record_changes
from services.catalog.tables import changes, products, requests, search_configuration
from services.catalog.words import words

PRODUCT = [products.c[field] for field in Product._fields]
NOT_DELETED = products.c.delete_time.is_(None)

_BY_IDS = products.c.id == any_(bindparam("ids", type_=ARRAY(Text)))
_GET = select(*PRODUCT).where(products.c.id == bindparam("id"), NOT_DELETED)
_BATCH = select(*PRODUCT).where(_BY_IDS, NOT_DELETED)
_KNOWN = select(products.c.id, products.c.delete_time, *(products.c[field] for field in ProductDetails._fields)).where(_BY_IDS)
# The time at which the lock was granted, not requested: of two updates, the later one has the later time.
_LOCK = select(func.clock_timestamp(), *PRODUCT).where(products.c.id == bindparam("id")).with_for_update()

_DETAILS = {field: bindparam(field, type_=products.c[field].type) for field in ProductDetails._fields}
_SEARCH_COLUMNS = {
    "name_words": func.strip(func.to_tsvector(search_configuration, bindparam("name_text", type_=Text))),
    "words": func.strip(func.to_tsvector(search_configuration, bindparam("text", type_=Text))),
    "name_length": bindparam("name_length", type_=Integer),
}
_CREATE = record_changes(
    insert(products)
    .values(id=bindparam("id"), **_DETAILS, **_SEARCH_COLUMNS, create_time=func.now(), update_time=func.now(), version=1)
    .on_conflict_do_nothing()
    .returning(*PRODUCT)
    .cte("written")
).returning(*CHANGED_PRODUCT)
_SAVE = record_changes(
    update(products)
    .where(products.c.id == bindparam("id"))
    .values(
        **_DETAILS,
        **_SEARCH_COLUMNS,
        **{field: bindparam(field, type_=products.c[field].type) for field in ("update_time", "delete_time", "version")},
    )
    .returning(*PRODUCT)
    .cte("written")
)

# Many products go in as one array per column.
_ARRAYS: dict[str, TypeEngine[Any]] = {
    **dict.fromkeys(("id", "name", "description", "category", "currency_code", "name_text", "text"), Text()),
    **dict.fromkeys(("price_cents", "stock", "name_length"), Integer()),
}
_incoming = (
    func.unnest(*(bindparam(name, type_=ARRAY(type_)) for name, type_ in _ARRAYS.items()))
    .table_valued(*(column(name, type_) for name, type_ in _ARRAYS.items()))
    .render_derived("incoming")
)
_new_rows = (
    select(
        _incoming.c.id,
        *(_incoming.c[field] for field in ProductDetails._fields),
        func.strip(func.to_tsvector(search_configuration, _incoming.c.name_text)),
        func.strip(func.to_tsvector(search_configuration, _incoming.c.text)),
        _incoming.c.name_length,
        func.now(),
        func.now(),
        literal_column("1"),
    )
    # Concurrent imports lock the products that they share in the same order.
    .order_by(_incoming.c.id)
)
_REPLACED_COLUMNS = (*ProductDetails._fields, *_SEARCH_COLUMNS)
_insert = insert(products).from_select(["id", *_REPLACED_COLUMNS, "create_time", "update_time", "version"], _new_rows)
# A concurrent import may have written the same details in the meantime.
_differs = or_(products.c.delete_time.is_not(None), *(products.c[field] != _insert.excluded[field] for field in ProductDetails._fields))
_UPSERT = record_changes(
    _insert.on_conflict_do_update(
        index_elements=[products.c.id],
        set_={
            **{field: _insert.excluded[field] for field in _REPLACED_COLUMNS},
            "update_time": func.clock_timestamp(),
            "delete_time": None,
            "version": products.c.version + 1,
        },
        where=_differs,
    )
    .returning(*PRODUCT)
    .cte("written")
).returning(changes.c.id, changes.c.version)


class ProductRepository:
    """Products. Each change of one is recorded in the same transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, id: str) -> Product | None:
        """A product, or None if there is none or it is deleted."""
        row = await self._database.fetch_row(_GET, id=id)
        return Product(*row) if row else None

    async def batch(self, ids: Iterable[str]) -> list[Product]:
        """The products with these ids that exist and are not deleted, in no particular order."""
        return [Product(*row) for row in await self._database.fetch(_BATCH, ids=list(ids))]

    async def create(self, id: str, details: ProductDetails, request: IdempotentRequest | None) -> catalog_pb2.Product:
        """Creates a product. Raises `AlreadyExists`, or `InvalidArgument` if the request's id was used for another request."""

        async def carry_out(transaction: Transaction) -> Product:
            row = await transaction.fetch_row(_CREATE, **details._asdict(), **_search_texts(id, details), id=id)
            if row is None:
                raise AlreadyExists("product", id)
            return Product(*row)

        return await self._once(request, carry_out)

    async def update(
        self, id: str, apply: Callable[[Product, datetime], Product], request: IdempotentRequest | None
    ) -> catalog_pb2.Product:
        """Saves the product that `apply` returns for the current one, deleted or not, and the current time.

        Raises `NotFound`, `InvalidArgument` if the request's id was used for another request, and what `apply` raises.
        """

        async def carry_out(transaction: Transaction) -> Product:
            row = await transaction.fetch_row(_LOCK, id=id)
            if row is None:
                raise NotFound("product", id)
            now, *fields = row
            product = Product(*fields)
            updated = apply(product, now)
            return product if updated == product else await _save(transaction, updated, now)

        return await self._once(request, carry_out)

    async def compare(self, rows: Mapping[str, ProductDetails]) -> tuple[list[str], list[str]]:
        """The ids of products that `upsert` would create, and of those that it would replace or undelete."""
        known = {row[0]: None if row[1] else ProductDetails(*row[2:]) for row in await self._database.fetch(_KNOWN, ids=list(rows))}
        updated = [id for id, details in rows.items() if id in known and known[id] != details]
        return [id for id in rows if id not in known], updated

    async def upsert(self, rows: Mapping[str, ProductDetails]) -> tuple[list[str], list[str]]:
        """Creates, replaces or undeletes products, by id. Returns the ids that were created, and those that were updated."""
        missing, different = await self.compare(rows)
        records = [{"id": id, **rows[id]._asdict(), **_search_texts(id, rows[id])} for id in (*missing, *different)]
        if not records:
            return [], []
        columns = {name: [record[name] for record in records] for name in _ARRAYS}
        created: list[str] = []
        updated: list[str] = []
        for id, version in await self._database.fetch(_UPSERT, **columns):
            (created if version == 1 else updated).append(id)
        return created, updated

    async def _once(self, request: IdempotentRequest | None, carry_out: Callable[[Transaction], Awaitable[Product]]) -> catalog_pb2.Product:
        """The response to a request: that of the first time if it is repeated."""

        async def response(transaction: Transaction) -> catalog_pb2.Product:
            return product_message(await carry_out(transaction))

        return await requests.once(self._database, request, catalog_pb2.Product, response)

    async def delete_expired_requests(self, age: timedelta = RETENTION) -> None:
        """Deletes the idempotent requests older than `age`."""
        await requests.delete_expired(self._database, age)


async def _save(transaction: Transaction, updated: Product, now: datetime) -> Product:
    saved = updated._replace(version=updated.version + 1, update_time=now)
    await transaction.execute(
        _SAVE,
        id=saved.id,
        **saved.details._asdict(),
        **_search_texts(saved.id, saved.details),
        update_time=now,
        delete_time=saved.delete_time,
        version=saved.version,
    )
    return saved


def _search_texts(id: str, details: ProductDetails) -> dict[str, str | int]:
    """The parameters from which the statements build the columns of a search."""
    in_name = name_words(id, details.name)
    elsewhere = words(f"{details.category} {details.description}")
    return {"name_text": " ".join(in_name), "text": " ".join(in_name + elsewhere), "name_length": len(in_name)}
