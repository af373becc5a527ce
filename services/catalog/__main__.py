"""Serves the catalogue: `python -m services.catalog`."""

import uvloop

from hashiramart.auth.v1 import auth_pb2
from hashiramart.catalog.v1 import catalog_pb2_grpc
from mesh import channel, database, telemetry
from mesh.identity import RemoteKeys, TokenVerifier
from mesh.paging import PageTokens
from mesh.periodic import run_periodically
from mesh.server import Server, serve
from mesh.settings import MeshSettings, read
from services.catalog.feed import ChangeFeed
from services.catalog.repository.changes import ChangeRepository
from services.catalog.repository.lists import ProductListRepository
from services.catalog.repository.products import ProductRepository
from services.catalog.repository.vocabulary import VocabularyRepository
from services.catalog.search import Search
from services.catalog.servicer import CatalogServicer
from services.catalog.settings import Settings
from services.catalog.vocabulary import Vocabulary

_HOUSEKEEPING_SECONDS = 600


async def main() -> None:
    settings, mesh = read(Settings), read(MeshSettings)
    telemetry.start("catalog", mesh)
    direct_url = str(settings.database_direct_url) if settings.database_direct_url else None
    auth = channel.connect(mesh.auth_address, auth_pb2.DESCRIPTOR.services_by_name["AuthService"], mesh)
    async with auth, await database.connect(str(settings.database_url), mesh, direct_url) as postgres:
        products, lists, changes = ProductRepository(postgres), ProductListRepository(postgres), ChangeRepository(postgres)
        feed = ChangeFeed(changes, postgres)
        vocabulary = Vocabulary(VocabularyRepository(postgres), feed)
        page_tokens = PageTokens(settings.secret.get_secret_value().encode())
        servicer = CatalogServicer(products, lists, Search(lists, vocabulary), feed, page_tokens, settings.currency)
        server = Server(settings.listen, mesh, TokenVerifier(mesh.jwt_issuer, mesh.jwt_audience, RemoteKeys(auth)), [postgres.ping])
        catalog_pb2_grpc.add_CatalogServiceServicer_to_server(servicer, server)
        await serve(
            server,
            feed.run(),
            vocabulary.learn(),
            run_periodically(changes.delete_expired, _HOUSEKEEPING_SECONDS),
            run_periodically(products.delete_expired_requests, _HOUSEKEEPING_SECONDS),
        )


if __name__ == "__main__":
    uvloop.run(main())
