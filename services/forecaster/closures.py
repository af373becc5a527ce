"""The closures that forecasts know."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from mesh.change_feed import ChangeReader
from mesh.database import Database
from mesh.errors import Unavailable
from ml.forecaster.arrays import Floats
from ml.forecaster.model import HORIZON
from services.forecaster.calendar import closed_days
from services.forecaster.calendar_repository import CHANNEL, CalendarRepository

_INTERVAL_SECONDS = 5


class Closures:
    """Follows the closures in the calendar. While PostgreSQL cannot be reached, they stay as they were."""

    def __init__(self, calendar: CalendarRepository, database: Database) -> None:
        self._calendar = calendar
        self._reader = ChangeReader(database, CHANNEL, self.refresh, _INTERVAL_SECONDS)
        self._closures: Sequence[tuple[date, date]] | None = None

    async def run(self) -> None:
        """Follows changes until cancelled."""
        await self._reader.run()

    async def refresh(self) -> None:
        """Reads the calendar."""
        self._closures = await self._calendar.closures()

    def days(self, through: date, count: int = HORIZON) -> list[date]:
        """The closed days among the next `count`, in order. Raises `Unavailable` while the calendar has not been read.

        through: the last day of the sales
        """
        if self._closures is None:
            raise Unavailable("CALENDAR_UNAVAILABLE", "the calendar has not been read yet")
        return closed_days(self._closures, through + timedelta(days=1), count)

    def factors(self, through: date) -> Floats | None:
        """What the forecast of each day to come is multiplied by: 0 for a closed day, shape (HORIZON,); None if there is none.

        Raises `Unavailable` while the calendar has not been read. through: the last day of the sales
        """
        days = self.days(through)
        if not days:
            return None
        factors = np.ones(HORIZON)
        factors[[(day - through).days - 1 for day in days]] = 0.0
        return factors
