"""Recommends with versions that are loaded beside the champion: those in shadow, and those of the arms of experiments."""

from ml.recommender.model import Recommender
from ml.registry.challengers import Challengers
from ml.registry.champion import ServedModel
from services.recommender.catalog import CatalogFollower
from services.recommender.recommendations import Recommendations


class LoadedVersions:
    """The versions that are loaded beside the champion, each with its recommendations."""

    def __init__(self, challengers: Challengers[Recommender], catalog: CatalogFollower) -> None:
        self.challengers = challengers
        self._catalog = catalog
        self._recommendations: dict[str, tuple[ServedModel[Recommender], Recommendations]] = {}

    def get(self, number: str) -> Recommendations | None:
        """What a version recommends; None if it is not loaded."""
        if (served := self.challengers.get(number)) is None:
            return None
        known = self._recommendations.get(number)
        if known is None or known[0] is not served:
            loaded = {each: pair for each, pair in self._recommendations.items() if self.challengers.get(each) is pair[0]}
            known = served, Recommendations(lambda: served, self._catalog)
            self._recommendations = {**loaded, number: known}
        return known[1]
