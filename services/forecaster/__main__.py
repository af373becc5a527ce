"""Serves the forecaster: `python -m services.forecaster`."""

if __name__ == "__main__":
    import services.lean_imports  # noqa: F401

from functools import partial

import httpx
import uvloop

from hashiramart.catalog.v1 import catalog_pb2
from hashiramart.forecaster.v1 import accuracy_pb2_grpc, calendar_pb2_grpc, forecaster_pb2_grpc, reorder_pb2_grpc
from lake.bucket import connect
from mesh import channel, database, telemetry
from mesh.auth_client import AuthClient
from mesh.paging import PageTokens
from mesh.periodic import run_periodically
from mesh.server import Server, background, serve
from mesh.settings import MeshSettings, ShopSettings, read
from ml.forecaster.model import Forecaster
from ml.registry.champion import Champion
from ml.registry.client import RegistryClient, registered_name
from ml.registry.signature import Verifier
from services.forecaster.accuracy_monitor import AccuracyMonitor
from services.forecaster.accuracy_repository import AccuracyRepository
from services.forecaster.accuracy_servicer import AccuracyServicer
from services.forecaster.calendar_messages import entry_message
from services.forecaster.calendar_repository import CalendarRepository
from services.forecaster.calendar_servicer import CalendarServicer
from services.forecaster.daily_units import CleanSales
from services.forecaster.outlook import Outlook
from services.forecaster.product_names import ProductNames
from services.forecaster.reorder_repository import ReorderPolicyRepository
from services.forecaster.reorder_servicer import ReorderServicer, policy_message
from services.forecaster.servicer import ForecasterServicer
from services.forecaster.settings import Settings
from services.forecaster.stock import Stock

# To connect to MLflow, and between two chunks of its response.
_REGISTRY_TIMEOUT_SECONDS = 10
_HOUSEKEEPING_SECONDS = 600


async def main() -> None:
    settings, shop, mesh = read(Settings), read(ShopSettings), read(MeshSettings)
    telemetry.start("forecaster", mesh)
    auth = AuthClient("forecaster", settings.service_secret.get_secret_value(), mesh)
    catalog = channel.connect(settings.catalog_address, catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"], mesh)
    direct_url = str(settings.database_direct_url) if settings.database_direct_url else None
    async with (
        auth,
        catalog,
        httpx.AsyncClient(timeout=_REGISTRY_TIMEOUT_SECONDS, auth=settings.mlflow_auth) as client,
        await database.connect(str(settings.database_url), mesh, direct_url) as postgres,
    ):
        registry = RegistryClient(client, settings.mlflow_url, registered_name("forecaster"), Verifier(settings.model_key))
        secret = settings.secret.get_secret_value()
        champion = Champion(registry, settings.model_folder, Forecaster.load, secret, settings.poll_seconds, settings.max_model_bytes)
        page_tokens = PageTokens(secret.encode())
        time_zone = shop.time_zone.key
        entries = CalendarRepository(postgres, partial(entry_message, time_zone=time_zone))
        outlook = Outlook(entries, postgres)
        servicer = ForecasterServicer(registry, champion, page_tokens, ProductNames(catalog), shop, outlook)
        calendar = CalendarServicer(entries, page_tokens, time_zone, servicer.data_through, outlook.refresh)
        policies = ReorderPolicyRepository(postgres, policy_message)
        reorder = ReorderServicer(policies, Stock(catalog), outlook, page_tokens, time_zone, lambda: servicer.serving)
        accuracy = AccuracyRepository(postgres, settings.served_forecast_bytes)
        sales = CleanSales(connect(settings.store_url, settings.store_region, settings.lake_bucket))
        monitor = AccuracyMonitor(champion, outlook, sales, accuracy, settings.thresholds)
        server = Server(
            settings.listen, mesh, auth.verifier, trail=auth.trail, engines={"postgresql": postgres.ping, "mlflow": registry.ping}
        )
        forecaster_pb2_grpc.add_ForecasterServiceServicer_to_server(servicer, server)
        calendar_pb2_grpc.add_CalendarServiceServicer_to_server(calendar, server)
        reorder_pb2_grpc.add_ReorderServiceServicer_to_server(reorder, server)
        accuracy_pb2_grpc.add_ForecastAccuracyServiceServicer_to_server(AccuracyServicer(monitor, accuracy, page_tokens, time_zone), server)
        async with background(outlook.run()):
            await champion.restore()
            await serve(
                server,
                auth.run(),
                champion.watch(),
                run_periodically(entries.delete_expired_requests, _HOUSEKEEPING_SECONDS),
                run_periodically(monitor.keep_forecast, settings.poll_seconds),
                run_periodically(monitor.score, settings.score_seconds),
            )


if __name__ == "__main__":
    uvloop.run(main())
