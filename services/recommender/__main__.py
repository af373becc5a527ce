"""Serves the recommender: `python -m services.recommender`."""

import httpx
import uvloop

from hashiramart.auth.v1 import auth_pb2
from hashiramart.catalog.v1 import catalog_pb2
from hashiramart.recommender.v1 import recommender_pb2_grpc
from mesh import channel, database, telemetry
from mesh.identity import RemoteKeys, ServiceToken, TokenVerifier
from mesh.paging import PageTokens
from mesh.periodic import run_periodically
from mesh.server import Server, background, serve
from mesh.settings import MeshSettings, read
from ml.recommender.model import Recommender
from ml.registry.champion import Champion
from ml.registry.client import RegistryClient, registered_name
from services.recommender.catalog import CatalogFollower
from services.recommender.repository import EventRepository
from services.recommender.servicer import RecommenderServicer
from services.recommender.settings import Settings

# To connect to MLflow, and between two chunks of its response.
_REGISTRY_TIMEOUT_SECONDS = 10
# How long the start waits for the products; without them the service answers CATALOG_UNAVAILABLE.
_CATALOG_TIMEOUT_SECONDS = 5
# An export continues where the last one ended, however long ago.
_EXPORT_TOKEN_LIFETIME_SECONDS = 10 * 365 * 24 * 60 * 60
_HOUSEKEEPING_SECONDS = 600


async def main() -> None:
    settings, mesh = read(Settings), read(MeshSettings)
    telemetry.start("recommender", mesh)
    auth = channel.connect(mesh.auth_address, auth_pb2.DESCRIPTOR.services_by_name["AuthService"], mesh)
    token = ServiceToken(auth, "recommender", settings.service_secret.get_secret_value())
    products = channel.connect(settings.catalog_address, catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"], mesh, token.proof)
    async with (
        auth,
        products,
        httpx.AsyncClient(timeout=_REGISTRY_TIMEOUT_SECONDS) as client,
        await database.connect(str(settings.database_url), mesh) as postgres,
    ):
        registry = RegistryClient(client, settings.mlflow_url, registered_name("recommender"))
        champion = Champion(registry, settings.model_folder, Recommender.load, settings.poll_seconds)
        catalog, events = CatalogFollower(products), EventRepository(postgres)
        secret = settings.secret.get_secret_value().encode()
        page_tokens, export_tokens = PageTokens(secret), PageTokens(secret, _EXPORT_TOKEN_LIFETIME_SECONDS)
        servicer = RecommenderServicer(registry, champion, catalog, events, page_tokens, export_tokens)

        async def check() -> None:
            # With the products it can recommend, with the database it can record: one of the two is enough to be healthy.
            if not catalog.is_filled:
                await postgres.ping()

        server = Server(settings.listen, mesh, TokenVerifier(mesh.jwt_issuer, mesh.jwt_audience, RemoteKeys(auth)), [check])
        recommender_pb2_grpc.add_RecommenderServiceServicer_to_server(servicer, server)
        async with background(catalog.follow()):
            await champion.restore()
            await catalog.wait_until_filled(_CATALOG_TIMEOUT_SECONDS)
            await serve(server, champion.watch(), run_periodically(events.delete_expired_requests, _HOUSEKEEPING_SECONDS))


if __name__ == "__main__":
    uvloop.run(main())
