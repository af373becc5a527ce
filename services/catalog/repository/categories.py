"""Reads the categories that products have."""

from functools import lru_cache
from typing import Any

from sqlalchemy import Boolean, Integer, Select, Text, bindparam, func, select

from mesh.database import Database
from services.catalog.domain import Category
from services.catalog.repository.products import NOT_DELETED
from services.catalog.tables import products


class CategoryRepository:
    """The categories of products that are not deleted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, after: str, limit: int, in_stock: bool | None) -> list[Category]:
        """The next categories, by name.

        after: the category before the first one; empty to begin with the first. Products without a category have an empty one.
        in_stock: counts only products that are in stock, or only those that are sold out; None for both
        """
        parameters: dict[str, object] = {} if in_stock is None else {"in_stock": in_stock}
        rows = await self._database.fetch(_page(in_stock is not None), after=after, limit=limit, **parameters)
        return [Category(*row) for row in rows]


@lru_cache
def _page(is_filtered: bool) -> Select[Any]:
    category = products.c.category
    statement = (
        select(category, func.count())
        .where(NOT_DELETED, category > bindparam("after", type_=Text))
        .group_by(category)
        .order_by(category)
        .limit(bindparam("limit", type_=Integer))
    )
    return statement.where((products.c.stock > 0) == bindparam("in_stock", type_=Boolean)) if is_filtered else statement
