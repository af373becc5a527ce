"""Finds products by words, the best matches first."""

from collections.abc import Sequence

from mesh.paging import Place
from services.catalog.domain import SHORTEST_NAME_FIRST, Product, ProductPage, ProductQuery
from services.catalog.repository.lists import MatchedIn, ProductListRepository
from services.catalog.vocabulary import Vocabulary


class Search:
    """Finds products by words, and corrects words that no product has."""

    def __init__(self, lists: ProductListRepository, vocabulary: Vocabulary) -> None:
        self._lists = lists
        self._vocabulary = vocabulary

    async def page(self, query: ProductQuery, asked: list[str], after: Place | None, size: int) -> tuple[ProductPage, list[str]]:
        """A page of the products that have all the words, and the words that were searched for after correction.

        asked: the words that were asked for
        after: where the page before ended: the words that it searched for, where they matched, and the place in that list
        """
        matches = [MatchedIn.NAME, MatchedIn.ELSEWHERE] if query.order == SHORTEST_NAME_FIRST else [MatchedIn.ANYWHERE]
        if after is not None:
            searched, remaining = str(after[0]).split(), matches[matches.index(MatchedIn(after[1])) :]
            return await self._page(query, searched, remaining, after[2:], size), searched
        searched = await self._vocabulary.correct(asked, [word for word in asked if word not in self._vocabulary])
        page = await self._page(query, searched, matches, None, size)
        if not page.products and (corrected := await self._vocabulary.correct(searched, searched)) != searched:
            # The vocabulary never forgets: it had a word that is no longer in use.
            searched = corrected
            page = await self._page(query, searched, matches, None, size)
        return page, searched

    async def _page(
        self, query: ProductQuery, searched: Sequence[str], matches: Sequence[MatchedIn], after: Place | None, size: int
    ) -> ProductPage:
        found: list[tuple[MatchedIn, Product]] = []
        for match in matches:
            products = await self._lists.search(query, match, searched, after, size + 1 - len(found))
            found += [(match, product) for product in products]
            if len(found) > size:
                match, last = found[size - 1]
                return ProductPage([product for _, product in found[:size]], (" ".join(searched), match.value, *query.place(last)))
            after = None
        return ProductPage([product for _, product in found], None)
