"""Databases with the tables of services, and the roles that production has."""

import asyncio

from mesh.migrate import migrate
from tests.engines.postgres import create_service_roles


def migrate_services(owner_url: str, *services: str) -> dict[str, str]:
    """Creates the roles and the tables of services in an empty database. Returns the URL of each role."""
    urls = create_service_roles(owner_url)

    async def run() -> None:
        for service in services:
            await migrate(service, urls["migrator"], urls[service])

    asyncio.run(run())
    return urls
