"""Serves auth: `python -m services.auth`."""

import sys
from contextlib import suppress

import uvloop

from hashiramart.auth.v1 import auth_pb2_grpc
from hashiramart.recommender.v1 import recommender_pb2
from mesh import channel, database, telemetry
from mesh.errors import Unavailable
from mesh.identity import TokenVerifier
from mesh.paging import PageTokens
from mesh.periodic import run_periodically
from mesh.server import Server, serve
from mesh.settings import MeshSettings, read
from services.auth.forgetting import DeletedUsers
from services.auth.grants import Credentials, Grants
from services.auth.keys import KeysNotOpenedError, SigningKeys
from services.auth.passwords import Passwords
from services.auth.repository import AttemptRepository, ForgettingRepository, KeyRepository, SignInRepository, UserRepository
from services.auth.servicer import AuthServicer
from services.auth.settings import Settings
from services.auth.tokens import TokenIssuer

FORGET_SECONDS = 2
HOUSEKEEPING_SECONDS = 60


async def main() -> None:
    settings, mesh = read(Settings), read(MeshSettings)
    telemetry.start("auth", mesh)
    async with await database.connect(str(settings.database_url), mesh) as postgres:
        users, attempts = UserRepository(postgres), AttemptRepository(postgres)
        sign_ins = SignInRepository(postgres, settings.sign_in_idle, settings.sign_in_lifetime)
        secret = settings.secret.get_secret_value()
        keys = SigningKeys(KeyRepository(postgres), secret)
        passwords = Passwords()
        credentials = Credentials(users, attempts, passwords)
        issuer = TokenIssuer(mesh.jwt_issuer, mesh.jwt_audience, keys)
        service_secrets = {name: secret.get_secret_value() for name, secret in settings.service_secrets.items()}
        grants = Grants(credentials, sign_ins, issuer, service_secrets)
        servicer = AuthServicer(
            users, sign_ins, attempts, passwords, credentials, grants, keys, PageTokens(secret.encode()), settings.trusted_proxies
        )
        server = Server(settings.listen, mesh, TokenVerifier(mesh.jwt_issuer, mesh.jwt_audience, keys), [postgres.ping])
        auth_pb2_grpc.add_AuthServiceServicer_to_server(servicer, server)
        recommender = channel.connect(
            settings.recommender_address, recommender_pb2.DESCRIPTOR.services_by_name["RecommenderService"], mesh, issuer.proof
        )
        # A wrong secret is told at once; a database that is away may come.
        with suppress(Unavailable):
            await keys.pair()
        async with recommender:
            await serve(
                server,
                run_periodically(DeletedUsers(ForgettingRepository(postgres), recommender).forget, FORGET_SECONDS),
                run_periodically(keys.settle, HOUSEKEEPING_SECONDS),
                run_periodically(sign_ins.delete_expired, HOUSEKEEPING_SECONDS),
                run_periodically(attempts.delete_expired, HOUSEKEEPING_SECONDS),
            )


if __name__ == "__main__":
    try:
        uvloop.run(main())
    except KeysNotOpenedError as error:
        sys.exit(str(error))
