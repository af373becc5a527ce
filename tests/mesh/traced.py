"""Calls a shop with a database once, and exports the spans: `python -m tests.mesh.traced URL TRACEPARENT`."""

import asyncio
import sys

from sqlalchemy import Text, bindparam, select

from hashiramart.catalog.v1 import catalog_pb2
from mesh import telemetry
from mesh.database import Database, connect
from mesh.settings import MeshSettings
from tests.callers import Issuer
from tests.mesh.shop import Context, Shop, connect_stub, serve_shop

ECHO = select(bindparam("id", type_=Text))


class Stocked(Shop):
    """Reads the product id from its database."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    async def GetProduct(self, request: catalog_pb2.GetProductRequest, context: Context) -> catalog_pb2.Product:  # noqa: N802
        return catalog_pb2.Product(id=await self._database.fetch_value(ECHO, id=request.id))


async def main(url: str, traceparent: str) -> None:
    settings = MeshSettings(drain_delay_seconds=0)
    telemetry.start("shop", settings)
    async with await connect(url, settings) as database:
        shop = Stocked(database)  # type: ignore[abstract]  # no more of it is needed
        async with serve_shop(shop, settings, Issuer(settings)) as server, connect_stub(server, settings) as stub:
            await stub.GetProduct(catalog_pb2.GetProductRequest(id="s3cret"), metadata=(("traceparent", traceparent),))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
