"""A monolithic FastAPI program over the catalogue's table, with which HashiraMart is compared end to end.

It uses SQLAlchemy's ORM on asyncpg with a pool of the same size, pydantic models, and keyset pagination on the same indexes. Its responses
are the same but for the format of times and page tokens. It runs on the HTTP server and event loop of the gateway.

    python -m benchmarks.monolith HOST:PORT DATABASE_URL
"""

import json
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.log import LogLevels
from pydantic import BaseModel, ConfigDict, Field, computed_field
from sqlalchemy import MetaData, Text, cast, func, literal_column, not_, select, tuple_
from sqlalchemy.dialects.postgresql import REGCONFIG, TSVECTOR
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

DEFAULT_PAGE_SIZE = 25
LARGEST_PAGE_SIZE = 100


class Base(DeclarativeBase):
    """The tables."""

    metadata = MetaData(schema="catalog")


class ProductRow(Base):
    """A row of the catalogue's table."""

    __tablename__ = "products"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    description: Mapped[str]
    category: Mapped[str]
    price_cents: Mapped[int]
    currency_code: Mapped[str]
    stock: Mapped[int]
    create_time: Mapped[datetime]
    update_time: Mapped[datetime]
    delete_time: Mapped[datetime | None]
    version: Mapped[int]
    # For searches only.
    name_words: Mapped[Any] = mapped_column(TSVECTOR, deferred=True)
    words: Mapped[Any] = mapped_column(TSVECTOR, deferred=True)
    name_length: Mapped[int] = mapped_column(deferred=True)


class Product(BaseModel):
    """A product in responses."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    description: str
    category: str
    price_cents: int
    currency_code: str
    stock: int
    create_time: datetime
    update_time: datetime
    delete_time: datetime | None
    version: int = Field(exclude=True)

    @computed_field  # type: ignore[prop-decorator]  # as pydantic documents it
    @property
    def etag(self) -> str:
        return f"{self.version:x}"


class ProductPage(BaseModel):
    """A page of a list."""

    products: list[Product]
    next_page_token: str = ""
    corrected_search: str = ""


class Filters(BaseModel):
    """The query parameters of a list."""

    page_size: int = Field(0, ge=0)
    page_token: str = ""
    category: str = ""
    search: str = ""
    in_stock: bool | None = None
    min_price_cents: int | None = None
    max_price_cents: int | None = None


def build(database_url: str) -> FastAPI:
    engine = create_async_engine(database_url, pool_size=10, max_overflow=0)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    app = FastAPI(title="A shop")

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions() as opened:
            yield opened

    @app.get("/products/{id}")
    async def get_product(id: str, session: Annotated[AsyncSession, Depends(session)]) -> Product:
        row = await session.scalar(select(ProductRow).where(ProductRow.id == id, ProductRow.delete_time.is_(None)))
        if row is None:
            raise HTTPException(404, f"there is no product '{id}'")
        return Product.model_validate(row)

    @app.get("/products")
    async def list_products(filters: Annotated[Filters, Query()], session: Annotated[AsyncSession, Depends(session)]) -> ProductPage:
        size = min(filters.page_size or DEFAULT_PAGE_SIZE, LARGEST_PAGE_SIZE)
        statement = select(ProductRow).where(ProductRow.delete_time.is_(None)).limit(size + 1)
        if filters.category:
            statement = statement.where(ProductRow.category == filters.category)
        if filters.in_stock is not None:
            statement = statement.where((ProductRow.stock > 0) == filters.in_stock)
        if filters.min_price_cents is not None:
            statement = statement.where(ProductRow.price_cents >= filters.min_price_cents)
        if filters.max_price_cents is not None:
            statement = statement.where(ProductRow.price_cents <= filters.max_price_cents)
        if filters.search:
            return await _best_matches(session, statement, filters, size)
        place = tuple_(ProductRow.create_time, ProductRow.id)
        if filters.page_token:
            create_time, id = _read_token(filters.page_token)
            statement = statement.where(place < (datetime.fromisoformat(create_time), id))
        rows = (await session.scalars(statement.order_by(ProductRow.create_time.desc(), ProductRow.id.desc()))).all()
        products = [Product.model_validate(row) for row in rows[:size]]
        following = _write_token(products[-1].create_time.isoformat(), products[-1].id) if len(rows) > size else ""
        return ProductPage(products=products, next_page_token=following)

    return app


async def _best_matches(session: AsyncSession, statement: Any, filters: Filters, size: int) -> ProductPage:
    """The products with all words, those with all words in their names first, then by length of the name."""
    query = func.plainto_tsquery(literal_column("'catalog.words'", REGCONFIG), cast(filters.search.lower(), Text))
    elsewhere = not_(ProductRow.name_words.bool_op("@@")(query))
    order = (elsewhere, ProductRow.name_length, ProductRow.id)
    statement = statement.add_columns(elsewhere, ProductRow.name_length).where(ProductRow.words.bool_op("@@")(query))
    if filters.page_token:
        statement = statement.where(tuple_(*order) > tuple(_read_token(filters.page_token)))
    rows = (await session.execute(statement.order_by(*order))).all()
    products = [Product.model_validate(row) for row, _, _ in rows[:size]]
    following = _write_token(rows[size - 1][1], rows[size - 1][2], products[-1].id) if len(rows) > size else ""
    return ProductPage(products=products, next_page_token=following)


def _write_token(*place: object) -> str:
    return urlsafe_b64encode(json.dumps(place).encode()).decode()


def _read_token(token: str) -> list[Any]:
    place: list[Any] = json.loads(urlsafe_b64decode(token))
    return place


def main() -> None:
    address, database_url = sys.argv[1:]
    host, _, port = address.rpartition(":")
    server = Granian(
        "a shop",
        address=host,
        port=int(port),
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        runtime_mode=RuntimeModes.mt,
        http=HTTPModes.http1,
        websockets=False,
        log_level=LogLevels.warning,
    )
    server.serve(target_loader=partial(build, database_url), wrap_loader=False)


if __name__ == "__main__":
    main()
