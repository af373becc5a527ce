"""Follows the slots, rules, experiments and shadows in the database."""

from mesh.change_feed import ChangeReader
from mesh.database import Database
from services.recommender.merchandising import Merchandising
from services.recommender.repository.merchandising import CHANNEL, MerchandisingRepository

_POLL_SECONDS = 1


class MerchandisingFeed:
    """The slots, rules, running experiments and shadows as they are now. While the database is unavailable, they stay as they were."""

    def __init__(self, repository: MerchandisingRepository, database: Database) -> None:
        self.repository = repository
        self._reader = ChangeReader(database, CHANNEL, self._read, _POLL_SECONDS)
        self._number: int | None = None
        self.current = Merchandising()

    @property
    def is_read(self) -> bool:
        """Whether they have been read since the start."""
        return self._number is not None

    async def run(self) -> None:
        """Reads changes until cancelled."""
        await self._reader.run()

    async def _read(self) -> None:
        number = await self.repository.number()
        if number != self._number:
            # What is read may already be newer than the number, which then leads to another reading.
            self.current, self._number = await self.repository.read(), number
