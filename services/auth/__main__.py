"""Serves auth: `python -m services.auth`."""

import sys
from contextlib import suppress

import grpc.aio
import uvloop

from hashiramart.auth.v1 import auth_pb2_grpc
from hashiramart.recommender.v1 import recommender_pb2
from mesh import channel, database, telemetry
from mesh.database import Database
from mesh.errors import Unavailable
from mesh.identity import TokenVerifier
from mesh.paging import PageTokens
from mesh.periodic import run_periodically
from mesh.server import Server, serve
from mesh.settings import MeshSettings, read
from services.auth.accounts import Accounts
from services.auth.credentials import Credentials
from services.auth.forgetting import DeletedUsers
from services.auth.grants import Grants
from services.auth.keys import SigningKeys, WrongSealingSecret
from services.auth.passwords import Passwords
from services.auth.repository.attempts import AttemptRepository
from services.auth.repository.forgettings import ForgettingRepository
from services.auth.repository.sign_ins import SignInRepository
from services.auth.repository.signing_keys import SigningKeyRepository
from services.auth.repository.users import UserRepository
from services.auth.servicer import AuthServicer
from services.auth.settings import Settings
from services.auth.tokens import TokenIssuer

_FORGET_SECONDS = 2
_HOUSEKEEPING_SECONDS = 60


async def main() -> None:
    settings, mesh = read(Settings), read(MeshSettings)
    telemetry.start("auth", mesh)
    async with await database.connect(str(settings.database_url), mesh) as postgres:
        keys = SigningKeys(SigningKeyRepository(postgres), settings.secret.get_secret_value())
        issuer = TokenIssuer(mesh.jwt_issuer, mesh.jwt_audience, keys)
        sign_ins = SignInRepository(postgres, settings.sign_in_idle, settings.sign_in_lifetime)
        attempts = AttemptRepository(postgres)
        servicer = _servicer(settings, postgres, attempts, sign_ins, keys, issuer)
        server = Server(settings.listen, mesh, TokenVerifier(mesh.jwt_issuer, mesh.jwt_audience, keys), [postgres.ping])
        auth_pb2_grpc.add_AuthServiceServicer_to_server(servicer, server)
        # A wrong secret ends the program at once. A database that cannot be reached yet does not.
        with suppress(Unavailable):
            await keys.pair()
        async with _recommender(settings, mesh, issuer) as recommender:
            await serve(
                server,
                run_periodically(DeletedUsers(ForgettingRepository(postgres), recommender).forget, _FORGET_SECONDS),
                run_periodically(keys.replenish, _HOUSEKEEPING_SECONDS),
                run_periodically(sign_ins.delete_expired, _HOUSEKEEPING_SECONDS),
                run_periodically(attempts.delete_expired, _HOUSEKEEPING_SECONDS),
            )


def _servicer(
    settings: Settings,
    postgres: Database,
    attempts: AttemptRepository,
    sign_ins: SignInRepository,
    keys: SigningKeys,
    issuer: TokenIssuer,
) -> AuthServicer:
    users = UserRepository(postgres)
    passwords = Passwords()
    credentials = Credentials(users, attempts, passwords)
    service_secrets = {name: secret.get_secret_value() for name, secret in settings.service_secrets.items()}
    return AuthServicer(
        Grants(credentials, sign_ins, issuer, service_secrets),
        Accounts(users, attempts, passwords, credentials),
        users,
        keys,
        PageTokens(settings.secret.get_secret_value().encode()),
        settings.trusted_proxies,
    )


def _recommender(settings: Settings, mesh: MeshSettings, issuer: TokenIssuer) -> grpc.aio.Channel:
    service = recommender_pb2.DESCRIPTOR.services_by_name["RecommenderService"]
    return channel.connect(settings.recommender_address, service, mesh, issuer.proof)


if __name__ == "__main__":
    try:
        uvloop.run(main())
    except WrongSealingSecret as error:
        sys.exit(str(error))
