"""Where products and their changes are kept."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum, auto
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    CTE,
    Boolean,
    ColumnElement,
    Integer,
    Interval,
    Select,
    Text,
    and_,
    any_,
    bindparam,
    column,
    delete,
    exists,
    func,
    literal_column,
    not_,
    or_,
    select,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import REGCONFIG, Insert, insert
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.types import TypeEngine

from mesh.database import Database
from mesh.errors import AlreadyExists, NotFound
from mesh.idempotency import RETENTION, IdempotentRequest
from mesh.paging import Place
from services.catalog.domain import Details, Key, Listing, Product, name_words
from services.catalog.tables import change_log, changes, products, requests
from services.catalog.words import words

# What the database tells of a change on, to whoever listens.
CHANNEL = "catalog_changes"

# What the contract promises.
CHANGE_RETENTION = timedelta(days=7)


class Match(Enum):
    """Where in a product the words of a search are: all in name or id, all somewhere but not all there, or all anywhere."""

    IN_NAME = auto()
    ELSEWHERE = auto()
    ANYWHERE = auto()


class Texts(NamedTuple):
    """The texts of a product."""

    id: str
    name: str
    description: str
    category: str


class Change(NamedTuple):
    """A change, and its number among all changes: they are numbered from 1, without a gap."""

    number: int
    product: Product


class Log(NamedTuple):
    """How far the changes have come."""

    last_number: int
    # The first change that is still kept, if any is.
    first_number: int | None
    secret: bytes


class ProductRepository:
    """Products. Whatever changes one writes down the change in the same transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, id: str) -> Product | None:
        row = await self._database.fetch_row(_GET, id=id)
        return Product(*row) if row else None

    async def batch(self, ids: Iterable[str]) -> list[Product]:
        """Those that there are, in no order."""
        return [Product(*row) for row in await self._database.fetch(_BATCH, ids=list(ids))]

    async def page(self, listing: Listing, after: Place | None, limit: int) -> list[Product]:
        """The list's first products, or those that follow the place `after`."""
        statement = _page(listing.order, frozenset(listing.filters), after is not None, listing.show_deleted)
        return await self._products(statement, listing, after, limit=limit)

    async def search(self, listing: Listing, match: Match, searched: Sequence[str], after: Place | None, limit: int) -> list[Product]:
        """The same, of those alone that match a search for these words."""
        statement = _search(match, listing.order, frozenset(listing.filters), after is not None, listing.show_deleted)
        return await self._products(statement, listing, after, limit=limit, searched=" ".join(searched))

    async def unused(self, asked: Iterable[str]) -> set[str]:
        """The words that no product has, in any form of theirs."""
        return {row[0] for row in await self._database.fetch(_UNUSED, asked=list(asked))}

    async def texts(self, after_id: str, limit: int) -> list[Texts]:
        """What the next products, by id, are described with."""
        return [Texts(*row) for row in await self._database.fetch(_TEXTS, after_id=after_id, limit=limit)]

    async def create(self, id: str, details: Details, request: IdempotentRequest | None) -> Product:
        """A new product; or, if the request was carried out before, the one that it made then.

        Raises `AlreadyExists`, or `InvalidArgument` if the request's id was used for another request.
        """
        async with self._database.begin() as transaction:
            earlier = await requests.claim(transaction, request)
            if earlier is not None:
                [found] = await transaction.fetch(_CHANGED, number=earlier)
                return Product(*found)
            row = await transaction.fetch_row(_CREATE, **details._asdict(), **_searchable(id, details), id=id)
            if row is None:
                raise AlreadyExists("product", id)
            number, *fields = row
            await requests.answer(transaction, request, number)
            return Product(*fields)

    async def change(self, id: str, change: Callable[[Product, datetime], Product]) -> Product:
        """Makes of a product, deleted or not, what `change` makes of it and of the time. Raises `NotFound`, and what `change` raises."""
        async with self._database.begin() as transaction:
            row = await transaction.fetch_row(_LOCK, id=id)
            if row is None:
                raise NotFound("product", id)
            now, *fields = row
            product = Product(*fields)
            wanted = change(product, now)
            if wanted == product:
                return product
            wanted = wanted._replace(version=product.version + 1, update_time=now)
            await transaction.execute(
                _SAVE,
                id=id,
                **wanted.details._asdict(),
                **_searchable(id, wanted.details),
                update_time=now,
                delete_time=wanted.delete_time,
                version=wanted.version,
            )
            return wanted

    async def take_in(self, rows: Mapping[str, Details]) -> tuple[list[str], list[str]]:
        """Creates, replaces or brings back products, by id. The ids of those that are new, and of those that changed."""
        known = {row[0]: Details(*row[1:]) for row in await self._database.fetch(_KNOWN, ids=list(rows))}
        different = ((id, details) for id, details in rows.items() if known.get(id) != details)
        records = [{"id": id, **details._asdict(), **_searchable(id, details)} for id, details in different]
        if not records:
            return [], []
        columns = {name: [record[name] for record in records] for name in _COLUMNS}
        new: list[str] = []
        changed: list[str] = []
        for id, version in await self._database.fetch(_TAKE_IN, **columns):
            (new if version == 1 else changed).append(id)
        return new, changed

    async def _products(
        self, statement: Select[tuple[object, ...]], listing: Listing, after: Place | None, **parameters: object
    ) -> list[Product]:
        if after is not None:
            parameters |= {f"after_{key.field}": value for key, value in zip(listing.order, after, strict=True)}
        return [Product(*row) for row in await self._database.fetch(statement, **listing.filters, **parameters)]


class ChangeRepository:
    """What became of products in the last days."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def log(self) -> Log:
        """How far the changes have come by now."""
        [row] = await self._database.fetch(_LOG)
        return Log(*row)

    async def after(self, number: int, limit: int) -> list[Change]:
        """The changes that follow this one, in their order."""
        return [Change(row[0], Product(*row[1:])) for row in await self._database.fetch(_CHANGES, after=number, limit=limit)]

    async def delete_expired(self, request_age: timedelta = RETENTION, change_age: timedelta = CHANGE_RETENTION) -> None:
        """Deletes the requests and the changes that are older."""
        await requests.delete_expired(self._database, request_age)
        while await self._database.execute(_DELETE_EXPIRED_CHANGES, age=change_age) == _DELETED_AT_ONCE:
            pass


Columns = ReadOnlyColumnCollection[str, ColumnElement[Any]]

_PRODUCT = [products.c[field] for field in Product._fields]
_CHANGED_PRODUCT = [changes.c[field] for field in Product._fields]
_THERE = products.c.delete_time.is_(None)
_WORDS = literal_column("'catalog.words'::regconfig", REGCONFIG)
_LIMIT = bindparam("limit", type_=Integer)

_GET = select(*_PRODUCT).where(products.c.id == bindparam("id"), _THERE)
_BATCH = select(*_PRODUCT).where(products.c.id == any_(bindparam("ids", type_=ARRAY(Text))), _THERE)
_KNOWN = select(products.c.id, *(products.c[field] for field in Details._fields)).where(
    products.c.id == any_(bindparam("ids", type_=ARRAY(Text))), _THERE
)
# The time at which the lock was had, not at which it was asked for: who changes a product later has the later time.
_LOCK = select(func.clock_timestamp(), *_PRODUCT).where(products.c.id == bindparam("id")).with_for_update()
_TEXTS = (
    select(*(products.c[field] for field in Texts._fields))
    .where(products.c.id > bindparam("after_id"), _THERE)
    .order_by(products.c.id)
    .limit(_LIMIT)
)

_asked = func.unnest(bindparam("asked", type_=ARRAY(Text))).column_valued("asked")
_UNUSED = select(_asked).where(~exists().where(products.c.words.bool_op("@@")(func.plainto_tsquery(_WORDS, _asked)), _THERE))


def _conditions(columns: Columns, filters: frozenset[str], show_deleted: bool) -> Iterator[ColumnElement[bool]]:
    if not show_deleted:
        yield columns.delete_time.is_(None)
    if "category" in filters:
        yield columns.category == bindparam("category", type_=Text)
    if "in_stock" in filters:
        yield (columns.stock > 0) == bindparam("in_stock", type_=Boolean)
    if "min_price_cents" in filters:
        yield columns.price_cents >= bindparam("min_price_cents", type_=Integer)
    if "max_price_cents" in filters:
        yield columns.price_cents <= bindparam("max_price_cents", type_=Integer)


def _ordered(columns: Columns, order: tuple[Key, ...]) -> list[ColumnElement[Any]]:
    return [columns[key.field].desc() if key.falls else columns[key.field] for key in order]


def _after(columns: Columns, order: tuple[Key, ...]) -> ColumnElement[bool]:
    """What follows a place in the order."""
    at = {key: bindparam(f"after_{key.field}", type_=columns[key.field].type) for key in order}
    if len({key.falls for key in order}) == 1:
        here, there = tuple_(*(columns[key.field] for key in order)), tuple_(*at.values())
        return here < there if order[0].falls else here > there

    def beyond(key: Key) -> ColumnElement[bool]:
        return columns[key.field] < at[key] if key.falls else columns[key.field] > at[key]

    def beside(key: Key) -> ColumnElement[bool]:
        return columns[key.field] == at[key]

    follows = or_(*(and_(*map(beside, order[:place]), beyond(key)) for place, key in enumerate(order)))
    first = columns[order[0].field]
    # The bound says nothing new, but an index can begin there.
    return and_(first <= at[order[0]] if order[0].falls else first >= at[order[0]], follows)


@lru_cache(maxsize=256)
def _page(order: tuple[Key, ...], filters: frozenset[str], follows: bool, show_deleted: bool) -> Select[Any]:
    conditions = [*_conditions(products.c, filters, show_deleted), *([_after(products.c, order)] if follows else ())]
    return select(*_PRODUCT).where(*conditions).order_by(*_ordered(products.c, order)).limit(_LIMIT)


@lru_cache(maxsize=256)
def _search(match: Match, order: tuple[Key, ...], filters: frozenset[str], follows: bool, show_deleted: bool) -> Select[Any]:
    """Products that match, in their order.

    A common word is found soonest by walking along the order, a rare one by its index, whose finds must be sorted. Which is which is
    tried: only if a short walk does not fill the page are all that match looked up, and then they are not too many.
    """

    def matching(columns: Columns) -> list[ColumnElement[bool]]:
        query = func.plainto_tsquery(_WORDS, bindparam("searched", type_=Text))
        in_name, anywhere = columns.name_words.bool_op("@@")(query), columns.words.bool_op("@@")(query)
        where = {Match.IN_NAME: [in_name], Match.ELSEWHERE: [anywhere, not_(in_name)], Match.ANYWHERE: [anywhere]}
        return [*where[match], *_conditions(columns, filters, show_deleted)]

    place = [_after(products.c, order)] if follows else []
    keys = [products.c[key.field] for key in order]
    there = [] if show_deleted else [_THERE]

    passed = select(products).where(*there, *place).order_by(*_ordered(products.c, order)).limit(_WALK).subquery()
    walk = (
        select(passed.c.id)
        .where(*matching(passed.c))
        .order_by(*_ordered(passed.c, order))
        .limit(_LIMIT)
        .cte("walk")
        .prefix_with("MATERIALIZED")
    )
    met = select(func.count()).select_from(walk).scalar_subquery()
    matches = select(*keys).where(met < _LIMIT, *matching(products.c), *place).cte("matches").prefix_with("MATERIALIZED")
    best = select(matches.c.id).order_by(*_ordered(matches.c, order)).limit(_LIMIT).subquery()
    found = union_all(select(walk.c.id).where(met == _LIMIT), select(best.c.id)).subquery()
    return select(*_PRODUCT).join_from(found, products, products.c.id == found.c.id).order_by(*_ordered(products.c, order))


# How many products are walked past. A word that fills no page with them is on few enough products for its index.
_WALK = 300


def _recorded(written: CTE) -> Insert:
    """Numbers the products just written, and keeps them as changes."""
    count = select(func.count()).select_from(written).scalar_subquery()
    # The last lock that is taken: it is held by one at a time, to the end of the transaction, and whoever holds it waits for no other.
    log = (
        update(change_log)
        .values(last_number=change_log.c.last_number + count)
        .where(exists().select_from(written))
        .returning(change_log.c.last_number, func.pg_notify(CHANNEL, ""))
        .cte("log")
    )
    number = select(log.c.last_number).scalar_subquery() - count + func.row_number().over(order_by=written.c.id)
    numbered = select(number, *(written.c[field] for field in Product._fields))
    return insert(changes).from_select([changes.c.number, *_CHANGED_PRODUCT], numbered)


_DETAILS = {field: bindparam(field, type_=products.c[field].type) for field in Details._fields}
_SEARCHED = {
    "name_words": func.strip(func.to_tsvector(_WORDS, bindparam("name_text", type_=Text))),
    "words": func.strip(func.to_tsvector(_WORDS, bindparam("text", type_=Text))),
    "name_length": bindparam("name_length", type_=Integer),
}

_CREATE = _recorded(
    insert(products)
    .values(id=bindparam("id"), **_DETAILS, **_SEARCHED, create_time=func.now(), update_time=func.now(), version=1)
    .on_conflict_do_nothing()
    .returning(*_PRODUCT)
    .cte("written")
).returning(changes.c.number, *_CHANGED_PRODUCT)

_SAVE = _recorded(
    update(products)
    .where(products.c.id == bindparam("id"))
    .values(
        **_DETAILS,
        **_SEARCHED,
        **{field: bindparam(field, type_=products.c[field].type) for field in ("update_time", "delete_time", "version")},
    )
    .returning(*_PRODUCT)
    .cte("written")
)

_COLUMNS: dict[str, TypeEngine[Any]] = {
    **dict.fromkeys(("id", "name", "description", "category", "currency_code", "name_text", "text"), Text()),
    **dict.fromkeys(("price_cents", "stock", "name_length"), Integer()),
}
_incoming = (
    func.unnest(*(bindparam(name, type_=ARRAY(type_)) for name, type_ in _COLUMNS.items()))
    .table_valued(*(column(name, type_) for name, type_ in _COLUMNS.items()))
    .render_derived("incoming")
)
_rows = (
    select(
        _incoming.c.id,
        *(_incoming.c[field] for field in Details._fields),
        func.strip(func.to_tsvector(_WORDS, _incoming.c.name_text)),
        func.strip(func.to_tsvector(_WORDS, _incoming.c.text)),
        _incoming.c.name_length,
        func.now(),
        func.now(),
        literal_column("1"),
    )
    # Two files at once lock the products that they share in the same order.
    .order_by(_incoming.c.id)
)
_replaced = (*Details._fields, "name_words", "words", "name_length")
_take_in = insert(products).from_select(["id", *_replaced, "create_time", "update_time", "version"], _rows)
_TAKE_IN = _recorded(
    _take_in.on_conflict_do_update(
        index_elements=[products.c.id],
        set_={
            **{field: _take_in.excluded[field] for field in _replaced},
            "update_time": func.clock_timestamp(),
            "delete_time": None,
            "version": products.c.version + 1,
        },
        # Another file may have brought the same in the meantime.
        where=or_(products.c.delete_time.is_not(None), *(products.c[field] != _take_in.excluded[field] for field in Details._fields)),
    )
    .returning(*_PRODUCT)
    .cte("written")
).returning(changes.c.id, changes.c.version)

_CHANGED = select(*_CHANGED_PRODUCT).where(changes.c.number == bindparam("number"))
_LOG = select(change_log.c.last_number, select(func.min(changes.c.number)).scalar_subquery(), change_log.c.secret)
_CHANGES = select(changes.c.number, *_CHANGED_PRODUCT).where(changes.c.number > bindparam("after")).order_by(changes.c.number).limit(_LIMIT)

_DELETED_AT_ONCE = 10_000
_since = func.now() - bindparam("age", type_=Interval)
# Of the oldest those before the first that is young enough, so that no gap comes to be; not all at once, which might take too long.
_oldest = select(changes.c.number, changes.c.update_time).order_by(changes.c.number).limit(_DELETED_AT_ONCE).subquery()
_first_kept = select(func.min(_oldest.c.number)).where(_oldest.c.update_time >= _since).scalar_subquery()
_first_unseen = select(func.max(_oldest.c.number) + 1).scalar_subquery()
_DELETE_EXPIRED_CHANGES = delete(changes).where(changes.c.number < func.coalesce(_first_kept, _first_unseen))


def _searchable(id: str, details: Details) -> dict[str, str | int]:
    """What a search is to find the product by."""
    in_name = name_words(id, details.name)
    elsewhere = words(f"{details.category} {details.description}")
    return {"name_text": " ".join(in_name), "text": " ".join(in_name + elsewhere), "name_length": len(in_name)}
