"""Reads the words that products have."""

from collections.abc import Sequence

from sqlalchemy import ARRAY, Integer, Text, bindparam, exists, func, select

from mesh.database import Database
from services.catalog.domain import ProductTexts
from services.catalog.repository.products import NOT_DELETED
from services.catalog.tables import products, search_configuration

_TEXTS = (
    select(*(products.c[field] for field in ProductTexts._fields))
    .where(products.c.id > bindparam("after_id"), NOT_DELETED)
    .order_by(products.c.id)
    .limit(bindparam("limit", type_=Integer))
)
_asked = func.unnest(bindparam("asked", type_=ARRAY(Text))).column_valued("asked")
_UNUSED = select(_asked).where(
    ~exists().where(products.c.words.bool_op("@@")(func.plainto_tsquery(search_configuration, _asked)), NOT_DELETED)
)


class VocabularyRepository:
    """The words of products that are not deleted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def texts(self, after_id: str, limit: int) -> list[ProductTexts]:
        """The texts of the next products, by id."""
        return [ProductTexts(*row) for row in await self._database.fetch(_TEXTS, after_id=after_id, limit=limit)]

    async def unused_words(self, words: Sequence[str]) -> set[str]:
        """The words that no product has in any inflection."""
        return {row[0] for row in await self._database.fetch(_UNUSED, asked=words)}
