"""Serves the forecaster: `python -m services.forecaster`."""

import httpx
import uvloop

from hashiramart.auth.v1 import auth_pb2
from hashiramart.forecaster.v1 import forecaster_pb2_grpc
from mesh import channel, telemetry
from mesh.identity import RemoteKeys, TokenVerifier
from mesh.paging import PageTokens
from mesh.server import Server, serve
from mesh.settings import MeshSettings, read
from ml.forecaster.model import Forecaster
from ml.registry.champion import Champion
from ml.registry.client import RegistryClient, registered_name
from services.forecaster.servicer import ForecasterServicer
from services.forecaster.settings import Settings

# To connect to MLflow, and between two chunks of its response.
_REGISTRY_TIMEOUT_SECONDS = 10


async def main() -> None:
    settings, mesh = read(Settings), read(MeshSettings)
    telemetry.start("forecaster", mesh)
    auth = channel.connect(mesh.auth_address, auth_pb2.DESCRIPTOR.services_by_name["AuthService"], mesh)
    async with auth, httpx.AsyncClient(timeout=_REGISTRY_TIMEOUT_SECONDS) as client:
        registry = RegistryClient(client, settings.mlflow_url, registered_name("forecaster"))
        champion = Champion(registry, settings.model_folder, Forecaster.load, settings.poll_seconds)
        await champion.restore()
        page_tokens = PageTokens(settings.secret.get_secret_value().encode())
        servicer = ForecasterServicer(registry, champion, page_tokens, settings.currency)
        server = Server(settings.listen, mesh, TokenVerifier(mesh.jwt_issuer, mesh.jwt_audience, RemoteKeys(auth)))
        forecaster_pb2_grpc.add_ForecasterServiceServicer_to_server(servicer, server)
        await serve(server, champion.watch())


if __name__ == "__main__":
    uvloop.run(main())
