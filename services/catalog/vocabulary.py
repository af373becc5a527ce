"""The vocabulary: the words of all products, as they are spelt, to correct others by."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

import structlog
from rapidfuzz import process
from rapidfuzz.distance import OSA

from mesh.errors import Unavailable
from services.catalog.changes import ChangeFeed
from services.catalog.repository import ProductRepository, Texts
from services.catalog.words import words

log = structlog.get_logger(__name__)


class Vocabulary:
    """The words that products have, or had not long ago."""

    def __init__(self, products: ProductRepository, changes: ChangeFeed) -> None:
        self._products = products
        self._changes = changes
        # How often each was met.
        self._words: Counter[str] = Counter()

    def __contains__(self, word: str) -> bool:
        return word in self._words

    def like(self, word: str) -> list[str]:
        """The words that are most like this one, the likest first; of those that are alike, the most common."""
        edits = _EDITS.get(len(word), _MOST_EDITS)
        found = process.extract(word, self._words.keys(), scorer=OSA.distance, score_cutoff=edits, limit=None) if edits else []
        return [like for like, _, _ in sorted(found, key=lambda found: (found[1], -self._words[found[0]], found[0]))[:_CANDIDATES]]

    async def learn(self) -> None:
        """Learns the words of all products, then those of every product that changes."""
        number = await self._changes.last_number()
        id = ""
        while some := await _patiently(self._products.texts, id, _TEXTS):
            for texts in some:
                self._add(texts)
            id = some[-1].id
        log.info("vocabulary learnt", words=len(self._words))
        while True:
            for change in await _patiently(self._changes.after, number):
                product = change.product
                self._add(Texts(product.id, product.name, product.description, product.category))
                number = change.number
                # A file of products brings many at once, and calls must not wait for all of them.
                await asyncio.sleep(0)

    def _add(self, texts: Texts) -> None:
        # Not the id: the one most like a wrong id is another product.
        self._words.update(set(words(f"{texts.name} {texts.category} {texts.description}")))


# How many letters of a word may be wrong, by its length. What is shorter could be anything.
_EDITS = {1: 0, 2: 0, 3: 1, 4: 1, 5: 1}
_MOST_EDITS = 2
_CANDIDATES = 5
_TEXTS = 100
_RETRY_SECONDS = 1

P = ParamSpec("P")
T = TypeVar("T")


async def _patiently(read: Callable[P, Awaitable[T]], *arguments: P.args, **keywords: P.kwargs) -> T:
    """What is read, as soon as the database is there."""
    while True:
        try:
            return await read(*arguments, **keywords)
        except Unavailable:
            await asyncio.sleep(_RETRY_SECONDS)
