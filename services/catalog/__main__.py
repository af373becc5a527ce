"""Serves the catalogue: `python -m services.catalog`."""

if __name__ == "__main__":
    import services.lean_imports  # noqa: F401

import uvloop

from hashiramart.catalog.v1 import catalog_pb2_grpc
from mesh import database, telemetry
from mesh.auth_client import AuthClient
from mesh.paging import PageTokens
from mesh.periodic import run_periodically
from mesh.server import Server, serve
from mesh.settings import MeshSettings, ShopSettings, read
from services.catalog.feed import ChangeFeed
from services.catalog.repository.categories import CategoryRepository
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
    settings, shop, mesh = read(Settings), read(ShopSettings), read(MeshSettings)
    telemetry.start("catalog", mesh)
    direct_url = str(settings.database_direct_url) if settings.database_direct_url else None
    auth = AuthClient("catalog", settings.service_secret.get_secret_value(), mesh)
    async with auth, await database.connect(str(settings.database_url), mesh, direct_url) as postgres:
        products, lists, changes = ProductRepository(postgres), ProductListRepository(postgres), ChangeRepository(postgres)
        feed = ChangeFeed(changes, postgres)
        vocabulary = Vocabulary(VocabularyRepository(postgres), feed)
        page_tokens = PageTokens(settings.secret.get_secret_value().encode())
        categories, search = CategoryRepository(postgres), Search(lists, vocabulary)
        servicer = CatalogServicer(products, lists, categories, search, feed, page_tokens, shop.currency)
        server = Server(settings.listen, mesh, auth.verifier, [postgres.ping], auth.trail, {"postgresql": postgres.ping})
        catalog_pb2_grpc.add_CatalogServiceServicer_to_server(servicer, server)
        await serve(
            server,
            auth.run(),
            feed.run(),
            vocabulary.learn(),
            run_periodically(changes.delete_expired, _HOUSEKEEPING_SECONDS),
            run_periodically(products.delete_expired_requests, _HOUSEKEEPING_SECONDS),
        )


if __name__ == "__main__":
    uvloop.run(main())
