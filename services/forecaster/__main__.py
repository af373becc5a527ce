"""Serves the forecaster: `python -m services.forecaster`."""

import httpx
import uvloop

from hashiramart.catalog.v1 import catalog_pb2
from hashiramart.forecaster.v1 import forecaster_pb2_grpc
from mesh import channel, telemetry
from mesh.auth_client import AuthClient
from mesh.paging import PageTokens
from mesh.server import Server, serve
from mesh.settings import MeshSettings, ShopSettings, read
from ml.forecaster.model import Forecaster
from ml.registry.champion import Champion
from ml.registry.client import RegistryClient, registered_name
from services.forecaster.product_names import ProductNames
from services.forecaster.servicer import ForecasterServicer
from services.forecaster.settings import Settings

# To connect to MLflow, and between two chunks of its response.
_REGISTRY_TIMEOUT_SECONDS = 10


async def main() -> None:
    settings, shop, mesh = read(Settings), read(ShopSettings), read(MeshSettings)
    telemetry.start("forecaster", mesh)
    auth = AuthClient("forecaster", settings.service_secret.get_secret_value(), mesh)
    catalog = channel.connect(settings.catalog_address, catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"], mesh)
    async with auth, catalog, httpx.AsyncClient(timeout=_REGISTRY_TIMEOUT_SECONDS) as client:
        registry = RegistryClient(client, settings.mlflow_url, registered_name("forecaster"))
        champion = Champion(registry, settings.model_folder, Forecaster.load, settings.poll_seconds)
        await champion.restore()
        page_tokens = PageTokens(settings.secret.get_secret_value().encode())
        servicer = ForecasterServicer(registry, champion, page_tokens, ProductNames(catalog), shop)
        server = Server(settings.listen, mesh, auth.verifier, trail=auth.trail)
        forecaster_pb2_grpc.add_ForecasterServiceServicer_to_server(servicer, server)
        await serve(server, auth.run(), champion.watch())


if __name__ == "__main__":
    uvloop.run(main())
