"""A replica of the catalogue inside of the tests."""

import asyncio

from mesh import database
from mesh.paging import PageTokens
from mesh.settings import MeshSettings
from services.catalog.changes import ChangeFeed
from services.catalog.repository import ChangeRepository, ProductRepository
from services.catalog.search import Search
from services.catalog.servicer import CatalogServicer
from services.catalog.vocabulary import Vocabulary
from tests.loops import Loop

SECRET = b"the same for all replicas, and long enough"


class Replica:
    """Its parts, at work on a loop."""

    def __init__(self, loop: Loop, database_url: str, settings: MeshSettings, direct_url: str | None = None) -> None:
        self._loop = loop
        loop.run(self._start(database_url, settings, direct_url))

    def stop(self) -> None:
        self._loop.run(self._stop())

    async def _start(self, database_url: str, settings: MeshSettings, direct_url: str | None) -> None:
        self.database = await database.connect(database_url, settings, direct_url)
        products, self.changes = ProductRepository(self.database), ChangeRepository(self.database)
        feed = ChangeFeed(self.changes, self.database)
        vocabulary = Vocabulary(products, feed)
        self.servicer = CatalogServicer(products, Search(products, vocabulary), feed, PageTokens(SECRET), "GBP")
        self._work = [asyncio.create_task(task) for task in (feed.run(), vocabulary.learn())]

    async def _stop(self) -> None:
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        await self.database.close()
