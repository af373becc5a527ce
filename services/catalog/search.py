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

    async def page(self, listing: Listing, asked: list[str], after: Place | None, size: int) -> tuple[Page, list[str]]:
        """A page of the products that have all these words, and the words that were searched for in the end."""
        matches = [Match.IN_NAME, Match.ELSEWHERE] if listing.order == BEST_FIRST else [Match.ANYWHERE]
        if after is not None:
            searched, left = str(after[0]).split(), matches[matches.index(Match(after[1])) :]
            return await self._page(listing, searched, left, after[2:], size), searched
        searched = await self._corrected(asked, [word for word in asked if word not in self._vocabulary])
        page = await self._page(listing, searched, matches, None, size)
        if not page.products and (again := await self._corrected(searched, searched)) != searched:
            # The vocabulary does not forget: it knew a word that is no longer in use.
            searched = again
            page = await self._page(listing, searched, matches, None, size)
        return page, searched

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

    async def _corrected(self, asked: list[str], doubtful: list[str]) -> list[str]:
        """The words asked for, with those of the doubtful ones corrected that no product has."""
        unused = await self._products.unused(doubtful) if doubtful else set()
        candidates = {word: self._vocabulary.like(word) for word in unused}
        likes = {like for likes in candidates.values() for like in likes}
        gone = await self._products.unused(likes) if likes else set()
        return [next((like for like in candidates.get(word, ()) if like not in gone), word) for word in asked]
