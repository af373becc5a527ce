"""A replica of the catalogue in the tests' own process."""

import asyncio

from mesh import database
from mesh.paging import PageTokens
from mesh.settings import MeshSettings
from services.catalog.feed import ChangeFeed
from services.catalog.repository.categories import CategoryRepository
from services.catalog.repository.changes import ChangeRepository
from services.catalog.repository.lists import ProductListRepository
from services.catalog.repository.products import ProductRepository
from services.catalog.repository.vocabulary import VocabularyRepository
from services.catalog.search import Search
from services.catalog.servicer import CatalogServicer
from services.catalog.vocabulary import Vocabulary
from tests.loops import Loop

SECRET = b"the same for all replicas, and long enough"


class Replica:
    """The parts of the catalogue, running on an event loop."""

    def __init__(self, loop: Loop, database_url: str, settings: MeshSettings, direct_url: str | None = None) -> None:
        self._loop = loop
        loop.run(self._start(database_url, settings, direct_url))

    def stop(self) -> None:
        self._loop.run(self._stop())

    async def _start(self, database_url: str, settings: MeshSettings, direct_url: str | None) -> None:
        self.database = await database.connect(database_url, settings, direct_url)
        self.products, self.changes = ProductRepository(self.database), ChangeRepository(self.database)
        lists, feed = ProductListRepository(self.database), ChangeFeed(self.changes, self.database)
        vocabulary = Vocabulary(VocabularyRepository(self.database), feed)
        self.servicer = CatalogServicer(
            self.products, lists, CategoryRepository(self.database), Search(lists, vocabulary), feed, PageTokens(SECRET), "GBP"
        )
        self._work = [asyncio.create_task(task) for task in (feed.run(), vocabulary.learn())]

    async def _stop(self) -> None:
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        await self.database.close()
