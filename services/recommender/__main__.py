"""Serves the recommender: `python -m services.recommender`."""

if __name__ == "__main__":
    import services.lean_imports  # noqa: F401

from functools import partial

import httpx
import uvloop

from hashiramart.catalog.v1 import catalog_pb2
from hashiramart.forecaster.v1 import reorder_pb2
from hashiramart.recommender.v1 import recommender_pb2_grpc
from mesh import channel, database, telemetry
from mesh.auth_client import AuthClient
from mesh.paging import PageTokens
from mesh.periodic import run_periodically
from mesh.server import Server, background, serve
from mesh.settings import MeshSettings, ShopSettings, read
from ml.recommender.model import Recommender
from ml.registry.artifact_folder import CHALLENGERS, ArtifactFolder
from ml.registry.challengers import Challengers
from ml.registry.champion import Champion
from ml.registry.client import RegistryClient, registered_name
from ml.registry.signature import Verifier
from services.recommender.catalog import CatalogFollower
from services.recommender.exposure_log import exposure_log
from services.recommender.merchandising_feed import MerchandisingFeed
from services.recommender.repository.events import EventRepository
from services.recommender.repository.exposures import ExposureRepository
from services.recommender.repository.merchandising import MerchandisingRepository
from services.recommender.repository.participants import ParticipantRepository
from services.recommender.repository.shadow_lists import ShadowListRepository
from services.recommender.servicer import RecommenderServicer
from services.recommender.settings import Settings
from services.recommender.shadow_starter import ShadowStarter
from services.recommender.shadows import Shadows
from services.recommender.stock_outlook import StockOutlook
from services.recommender.versions import LoadedVersions

# To connect to MLflow, and between two chunks of its response.
_REGISTRY_TIMEOUT_SECONDS = 10
# How long the start waits for the products; without them the service answers CATALOG_UNAVAILABLE.
_CATALOG_TIMEOUT_SECONDS = 5
_HOUSEKEEPING_SECONDS = 600
_STOCK_OUTLOOK_SECONDS = 60
_SHADOW_START_SECONDS = 30


async def main() -> None:
    settings, shop, mesh = read(Settings), read(ShopSettings), read(MeshSettings)
    telemetry.start("recommender", mesh)
    auth = AuthClient("recommender", settings.service_secret.get_secret_value(), mesh)
    products = channel.connect(settings.catalog_address, catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"], mesh, auth.proof)
    async with (
        auth,
        products,
        httpx.AsyncClient(timeout=_REGISTRY_TIMEOUT_SECONDS, auth=settings.mlflow_auth) as client,
        await database.connect(str(settings.database_url), mesh) as postgres,
    ):
        registry = RegistryClient(client, settings.mlflow_url, registered_name("recommender"), Verifier(settings.model_key))
        secret = settings.secret.get_secret_value()
        champion = Champion(registry, settings.model_folder, Recommender.load, secret, settings.poll_seconds, settings.max_model_bytes)
        catalog, events = CatalogFollower(products), EventRepository(postgres)
        stock_outlook = StockOutlook()
        page_tokens = PageTokens(secret.encode())
        exposures = ExposureRepository(postgres)
        logged = exposure_log(exposures)
        merchandising = MerchandisingFeed(MerchandisingRepository(postgres), postgres)
        artifacts = ArtifactFolder(registry, settings.model_folder / CHALLENGERS, Recommender.load, settings.max_model_bytes)
        challengers = Challengers(registry, artifacts, lambda: merchandising.current.versions)
        shadow_lists = ShadowListRepository(postgres)
        versions = LoadedVersions(challengers, catalog)
        shadows = Shadows(merchandising, versions, shadow_lists)
        starter = ShadowStarter(registry, merchandising.repository, shadow_lists)
        servicer = RecommenderServicer(
            registry,
            champion,
            catalog,
            events,
            exposures,
            logged,
            merchandising,
            ParticipantRepository(postgres),
            versions,
            shadows,
            page_tokens,
            shop.time_zone,
            shopper_orders_count=settings.shopper_orders_count,
            required_shadow_lists=settings.required_shadow_lists,
            stock_outlook=stock_outlook,
        )

        async def check() -> None:
            # With the products it can recommend, with the database it can record: one of the two is enough to be healthy.
            if not catalog.is_filled:
                await postgres.ping()

        server = Server(settings.listen, mesh, auth.verifier, [check], auth.trail, {"postgresql": postgres.ping, "mlflow": registry.ping})
        recommender_pb2_grpc.add_RecommenderServiceServicer_to_server(servicer, server)
        async with background(catalog.follow()):
            await champion.restore()
            await catalog.wait_until_filled(_CATALOG_TIMEOUT_SECONDS)
            await serve(
                server,
                auth.run(),
                champion.watch(),
                logged.run(),
                merchandising.run(),
                *([_follow_stock(stock_outlook, settings.forecaster_address, mesh, auth)] if settings.forecaster_address else []),
                run_periodically(challengers.refresh, settings.poll_seconds),
                *([run_periodically(starter.start, _SHADOW_START_SECONDS)] if settings.required_shadow_lists else []),
                shadows.run(),
                run_periodically(events.delete_expired_requests, _HOUSEKEEPING_SECONDS),
                run_periodically(partial(events.forget_expired_visitors, settings.visitor_retention), _HOUSEKEEPING_SECONDS),
                run_periodically(partial(exposures.delete_expired, settings.exposure_retention), _HOUSEKEEPING_SECONDS),
                run_periodically(partial(shadow_lists.delete_expired, settings.exposure_retention), _HOUSEKEEPING_SECONDS),
            )


async def _follow_stock(outlook: StockOutlook, forecaster_address: str, mesh: MeshSettings, auth: AuthClient) -> None:
    """Reads what the forecaster expects of the stock until cancelled."""
    service = reorder_pb2.DESCRIPTOR.services_by_name["ReorderService"]
    async with channel.connect(forecaster_address, service, mesh, auth.proof) as forecaster:
        await run_periodically(partial(outlook.read, forecaster), _STOCK_OUTLOOK_SECONDS)


if __name__ == "__main__":
    uvloop.run(main())
