"""The vocabulary: the words of all products, by which misspelt words are corrected."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import ParamSpec, TypeVar

import structlog
from rapidfuzz import process
from rapidfuzz.distance import OSA

from mesh.errors import Unavailable
from services.catalog.domain import ProductTexts
from services.catalog.feed import ChangeFeed
from services.catalog.repository.vocabulary import VocabularyRepository
from services.catalog.words import words

_log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

# How many letters of a word may be wrong, by its length. Shorter words resemble too many others.
_MAX_EDITS_BY_LENGTH = {1: 0, 2: 0, 3: 1, 4: 1, 5: 1}
_MAX_EDITS = 2
_CANDIDATES = 5
_BATCH_SIZE = 100
_RETRY_SECONDS = 1


class Vocabulary:
    """The words that products have, or had since the service started, and how often each was read."""

    def __init__(self, repository: VocabularyRepository, feed: ChangeFeed) -> None:
        self._repository = repository
        self._feed = feed
        self._counts: Counter[str] = Counter()

    def __contains__(self, word: str) -> bool:
        return word in self._counts

    async def correct(self, asked: list[str], doubtful: Iterable[str]) -> list[str]:
        """The words that were asked for, with each doubtful one that no product has replaced by the closest that one has."""
        unused = await self._unused_words(doubtful)
        candidates: dict[str, list[str]] = {}
        for word in unused:
            candidates[word] = self._closest(word)
            # A search may have many words, and other calls must not wait for all of them.
            await asyncio.sleep(0)
        unused_candidates = await self._unused_words({candidate for found in candidates.values() for candidate in found})
        return [next((found for found in candidates.get(word, ()) if found not in unused_candidates), word) for word in asked]

    async def learn(self) -> None:
        """Reads the words of all products, then those of every product that changes, until cancelled."""
        number = await self._feed.last_number()
        id = ""
        while products := await _retry(self._repository.texts, id, _BATCH_SIZE):
            for texts in products:
                self._add(texts)
            id = products[-1].id
        _log.info("vocabulary read", words=len(self._counts))
        while True:
            for change in await _retry(self._feed.after, number):
                product = change.product
                self._add(ProductTexts(product.id, product.name, product.description, product.category))
                number = change.number
                # An import changes many products at once, and calls must not wait for all of them.
                await asyncio.sleep(0)

    async def _unused_words(self, words: Iterable[str]) -> set[str]:
        checked = list(words)
        return await self._repository.unused_words(checked) if checked else set()

    def _closest(self, word: str) -> list[str]:
        """The words closest to this one by edit distance, the more common first where that is equal."""
        edits = _MAX_EDITS_BY_LENGTH.get(len(word), _MAX_EDITS)
        if not edits:
            return []
        found = process.extract(word, self._counts.keys(), scorer=OSA.distance, score_cutoff=edits, limit=None)
        return [close for close, _, _ in sorted(found, key=lambda match: (match[1], -self._counts[match[0]], match[0]))[:_CANDIDATES]]

    def _add(self, texts: ProductTexts) -> None:
        # Not the id: the closest match to a wrong id is another product.
        self._counts.update(set(words(f"{texts.name} {texts.category} {texts.description}")))


async def _retry(read: Callable[P, Awaitable[T]], *arguments: P.args, **keywords: P.kwargs) -> T:
    """Reads, again and again while the database is unavailable."""
    while True:
        try:
            return await read(*arguments, **keywords)
        except Unavailable:
            await asyncio.sleep(_RETRY_SECONDS)
