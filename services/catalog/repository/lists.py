"""Reads lists of products: filtered, sorted, searched and paged."""

from collections.abc import Iterator, Sequence
from enum import Enum, auto
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import CTE, Boolean, ColumnElement, Integer, Select, Text, and_, bindparam, func, not_, or_, select, tuple_, union_all
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from mesh.database import Database
from mesh.paging import Place
from services.catalog.domain import Product, ProductQuery, SortKey, SortOrder
from services.catalog.repository.products import NOT_DELETED, PRODUCT
from services.catalog.tables import products, search_configuration

Columns = ReadOnlyColumnCollection[str, ColumnElement[Any]]

# How many products a search scans in the order of the list. A word that does not fill a page with them is rare enough for its index.
_SCAN_SIZE = 300
_LIMIT = bindparam("limit", type_=Integer)


class MatchedIn(Enum):
    """Where in a product all words of a search are: in name and id, not all of them there, or in any text."""

    NAME = auto()
    ELSEWHERE = auto()
    ANYWHERE = auto()


class ProductListRepository:
    """Lists of products."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, query: ProductQuery, after: Place | None, limit: int) -> list[Product]:
        """The first products of the list, or the first after a place in it."""
        statement = _page(query.order, frozenset(query.filters), after is not None, query.show_deleted)
        return await self._fetch(statement, query, after, limit=limit)

    async def search(self, query: ProductQuery, match: MatchedIn, words: Sequence[str], after: Place | None, limit: int) -> list[Product]:
        """The same, of the products that match a search for these words only."""
        statement = _search(match, query.order, frozenset(query.filters), after is not None, query.show_deleted)
        return await self._fetch(statement, query, after, limit=limit, searched=" ".join(words))

    async def _fetch(
        self, statement: Select[tuple[object, ...]], query: ProductQuery, after: Place | None, **parameters: object
    ) -> list[Product]:
        if after is not None:
            parameters |= {f"after_{key.field}": value for key, value in zip(query.order, after, strict=True)}
        return [Product(*row) for row in await self._database.fetch(statement, **query.filters, **parameters)]


class _Shape(NamedTuple):
    """What the statement of a list depends on; all else are its parameters."""

    order: SortOrder
    filters: frozenset[str]
    continued: bool
    show_deleted: bool


@lru_cache(maxsize=256)
def _page(order: SortOrder, filters: frozenset[str], continued: bool, show_deleted: bool) -> Select[Any]:
    shape = _Shape(order, filters, continued, show_deleted)
    conditions = [*_filters(products.c, shape), *_continuation(shape)]
    return select(*PRODUCT).where(*conditions).order_by(*_order_by(products.c, shape)).limit(_LIMIT)


@lru_cache(maxsize=256)
def _search(match: MatchedIn, order: SortOrder, filters: frozenset[str], continued: bool, show_deleted: bool) -> Select[Any]:
    """The products that match, in the order of the list.

    A common word is found fastest by a scan in the order of the list, a rare one by its index, whose matches have to be sorted. A short
    scan tells them apart: only if it does not fill the page are all matches looked up, and then there are not too many.
    """
    shape = _Shape(order, filters, continued, show_deleted)
    scan = _scan(match, shape)
    scanned = select(func.count()).select_from(scan).scalar_subquery()
    keys = [products.c[key.field] for key in order]
    matches = (
        select(*keys)
        .where(scanned < _LIMIT, *_matching(products.c, match, shape), *_continuation(shape))
        .cte("matches")
        .prefix_with("MATERIALIZED")
    )
    first = select(matches.c.id).order_by(*_order_by(matches.c, shape)).limit(_LIMIT).subquery()
    found = union_all(select(scan.c.id).where(scanned == _LIMIT), select(first.c.id)).subquery()
    return select(*PRODUCT).join_from(found, products, products.c.id == found.c.id).order_by(*_order_by(products.c, shape))


def _scan(match: MatchedIn, shape: _Shape) -> CTE:
    """The products that match among the next ones of the list."""
    existing = [] if shape.show_deleted else [NOT_DELETED]
    order = _order_by(products.c, shape)
    following = select(products).where(*existing, *_continuation(shape)).order_by(*order).limit(_SCAN_SIZE).subquery()
    return (
        select(following.c.id)
        .where(*_matching(following.c, match, shape))
        .order_by(*_order_by(following.c, shape))
        .limit(_LIMIT)
        .cte("scan")
        .prefix_with("MATERIALIZED")
    )


def _matching(columns: Columns, match: MatchedIn, shape: _Shape) -> list[ColumnElement[bool]]:
    query = func.plainto_tsquery(search_configuration, bindparam("searched", type_=Text))
    in_name, anywhere = columns.name_words.bool_op("@@")(query), columns.words.bool_op("@@")(query)
    conditions = {MatchedIn.NAME: [in_name], MatchedIn.ELSEWHERE: [anywhere, not_(in_name)], MatchedIn.ANYWHERE: [anywhere]}
    return [*conditions[match], *_filters(columns, shape)]


def _filters(columns: Columns, shape: _Shape) -> Iterator[ColumnElement[bool]]:
    if not shape.show_deleted:
        yield columns.delete_time.is_(None)
    if "category" in shape.filters:
        yield columns.category == bindparam("category", type_=Text)
    if "in_stock" in shape.filters:
        yield (columns.stock > 0) == bindparam("in_stock", type_=Boolean)
    if "min_price_cents" in shape.filters:
        yield columns.price_cents >= bindparam("min_price_cents", type_=Integer)
    if "max_price_cents" in shape.filters:
        yield columns.price_cents <= bindparam("max_price_cents", type_=Integer)


def _order_by(columns: Columns, shape: _Shape) -> list[ColumnElement[Any]]:
    return [columns[key.field].desc() if key.descending else columns[key.field] for key in shape.order]


def _continuation(shape: _Shape) -> list[ColumnElement[bool]]:
    """The condition on products to come after the place `after_...` of the list, if it is continued there."""
    return [_after(products.c, shape.order)] if shape.continued else []


def _after(columns: Columns, order: SortOrder) -> ColumnElement[bool]:
    place = {key: bindparam(f"after_{key.field}", type_=columns[key.field].type) for key in order}
    if len({key.descending for key in order}) == 1:
        fields, values = tuple_(*(columns[key.field] for key in order)), tuple_(*place.values())
        return fields < values if order[0].descending else fields > values

    def beyond(key: SortKey) -> ColumnElement[bool]:
        return columns[key.field] < place[key] if key.descending else columns[key.field] > place[key]

    def equal(key: SortKey) -> ColumnElement[bool]:
        return columns[key.field] == place[key]

    follows = or_(*(and_(*map(equal, order[:index]), beyond(key)) for index, key in enumerate(order)))
    first = columns[order[0].field]
    # Redundant, but an index can start there.
    bound = first <= place[order[0]] if order[0].descending else first >= place[order[0]]
    return and_(bound, follows)
