"""Search: products by words, the best matches first."""

from collections.abc import Sequence

from mesh.paging import Place
from services.catalog.domain import BEST_FIRST, Listing, Page, Product
from services.catalog.repository import Match, ProductRepository
from services.catalog.vocabulary import Vocabulary


class Search:
    """Finds products by what is written of them. Words that no product has are corrected."""

    def __init__(self, products: ProductRepository, vocabulary: Vocabulary) -> None:
        self._products = products
        self._vocabulary = vocabulary

    async def page(self, listing: Listing, asked: Sequence[str], after: Place | None, size: int) -> tuple[Page, list[str]]:
        """A page of the products that have all these words, and the words that were searched for in the end."""
        matches = [Match.IN_NAME, Match.ELSEWHERE] if listing.order == BEST_FIRST else [Match.ANYWHERE]
        if after is not None:
            searched, match, *place = after
            left = matches[matches.index(Match(match)) :]
            return await self._page(listing, str(searched).split(), left, tuple(place), size), str(searched).split()
        page = await self._page(listing, asked, matches, None, size)
        if page.products:
            return page, list(asked)
        corrected = await self._corrected(asked)
        if corrected != asked:
            page = await self._page(listing, corrected, matches, None, size)
        return page, corrected

    async def _page(self, listing: Listing, searched: Sequence[str], matches: Sequence[Match], after: Place | None, size: int) -> Page:
        found: list[tuple[Match, Product]] = []
        for match in matches:
            rows = await self._products.search(listing, match, searched, after, size + 1 - len(found))
            found += [(match, product) for product in rows]
            if len(found) > size:
                match, last = found[size - 1]
                return Page([product for _, product in found[:size]], (" ".join(searched), match.value, *listing.place(last)))
            after = None
        return Page([product for _, product in found], None)

    async def _corrected(self, asked: Sequence[str]) -> list[str]:
        unused = await self._products.unused(asked)
        candidates = {word: self._vocabulary.like(word) for word in unused}
        # The vocabulary does not forget, so a candidate may have gone out of use as well.
        gone = await self._products.unused({like for likes in candidates.values() for like in likes})
        return [next((like for like in candidates.get(word, ()) if like not in gone), word) for word in asked]
