"""Reading changes when a real PostgreSQL notifies of them."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import bindparam, func, select

from mesh.change_feed import ChangeReader
from mesh.database import Database, connect
from mesh.server import background
from mesh.settings import MeshSettings
from tests.engines.postgres import Postgres

NOTIFY = select(func.pg_notify("changes", bindparam("payload")))
AN_HOUR = 3600


class Readings:
    """Counts the readings."""

    def __init__(self) -> None:
        self.count = 0

    async def read(self) -> None:
        self.count += 1

    async def reach(self, count: int) -> None:
        async with asyncio.timeout(10):
            while self.count < count:
                await asyncio.sleep(0.001)


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> str:
    return postgres.create_database()


@pytest.fixture
async def database(url: str, settings: MeshSettings) -> AsyncIterator[Database]:
    async with await connect(url, settings) as database:
        yield database


async def notify_until(database: Database, readings: Readings, count: int) -> None:
    """Notifies until so many readings have followed: the reader listens a moment after it has begun to run."""
    async with asyncio.timeout(10):
        while readings.count < count:
            await database.fetch(NOTIFY, payload="mug")
            await asyncio.sleep(0.01)


async def test_a_notification_is_followed_by_a_reading(database: Database) -> None:
    readings = Readings()
    async with background(ChangeReader(database, "changes", readings.read, AN_HOUR).run()):
        await notify_until(database, readings, 3)


async def test_a_notification_that_does_not_concern_the_reader_is_ignored(database: Database) -> None:
    readings, others = Readings(), Readings()
    reader = ChangeReader(database, "changes", readings.read, AN_HOUR, concerns=lambda payload: payload != "mug")
    async with background(reader.run(), ChangeReader(database, "changes", others.read, AN_HOUR).run()):
        await notify_until(database, others, 5)
        assert readings.count == 1
        reader.wake()
        await readings.reach(2)


async def test_without_notifications_changes_are_read_at_intervals(url: str, settings: MeshSettings) -> None:
    readings = Readings()
    # Behind a pooler, and without another way to PostgreSQL.
    async with await connect(url, settings.model_copy(update={"database_pooler": True})) as database:
        assert not database.can_listen
        async with background(ChangeReader(database, "changes", readings.read, 0.001).run()):
            await readings.reach(5)
