"""Serves auth: `python -m services.auth`."""

if __name__ == "__main__":
    import services.lean_imports  # noqa: F401

import sys
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial

import grpc.aio
import uvloop

from hashiramart.auth.v1 import auth_pb2_grpc
from hashiramart.recommender.v1 import recommender_pb2
from mesh import channel, database, telemetry
from mesh.audit import AuditTrail
from mesh.errors import Unavailable
from mesh.identity import TokenVerifier
from mesh.paging import PageTokens
from mesh.periodic import run_periodically
from mesh.revocations import RevokedTokens
from mesh.server import Server, serve
from mesh.settings import MeshSettings, read
from services.auth.accounts import Accounts
from services.auth.credentials import Credentials
from services.auth.forgetting import DeletedUsers
from services.auth.grants import Grants
from services.auth.keys import SigningKeys, signing_keys
from services.auth.mail import Postman, post
from services.auth.passwords import Passwords
from services.auth.recovery import Recovery
from services.auth.repository.attempts import AttemptRepository
from services.auth.repository.audit_events import AuditEventRepository
from services.auth.repository.forgettings import ForgettingRepository
from services.auth.repository.handovers import HandoverRepository
from services.auth.repository.mail import MailRepository, Purpose
from services.auth.repository.revocations import RevocationRepository
from services.auth.repository.second_factors import SecondFactorRepository
from services.auth.repository.sign_ins import SignInRepository
from services.auth.repository.users import UserRepository
from services.auth.sealing import WrongSealingSecret, sealing
from services.auth.second_factors import PURPOSE, SecondFactors
from services.auth.servicer import AuthServicer
from services.auth.settings import Settings
from services.auth.tokens import TokenIssuer
from services.auth.visitors import Handovers, Visitors

_FORGET_SECONDS = 2
_HOUSEKEEPING_SECONDS = 60
_REVOCATION_SECONDS = 1
_MAIL_SECONDS = 2


async def main() -> None:
    settings, mesh = read(Settings), read(MeshSettings)
    telemetry.start("auth", mesh)
    async with await database.connect(str(settings.database_url), mesh) as postgres:
        keys = signing_keys(postgres, settings)
        issuer = TokenIssuer(mesh.jwt_issuer, mesh.jwt_audience, keys)
        sign_ins = SignInRepository(postgres, settings.sign_in_idle, settings.sign_in_lifetime)
        users, attempts = UserRepository(postgres), AttemptRepository(postgres)
        revoked = RevokedTokens()
        verifier, revocations = TokenVerifier(mesh.jwt_issuer, mesh.jwt_audience, keys, revoked), RevocationRepository(postgres, revoked)
        mails, audit_events = MailRepository(postgres), AuditEventRepository(postgres)
        trail, handovers = AuditTrail(audit_events.record), HandoverRepository(postgres)
        factors = SecondFactorRepository(postgres)
        servicer = _servicer(settings, mesh, users, attempts, sign_ins, factors, keys, issuer, audit_events, revocations, mails, handovers)
        server = Server(settings.listen, mesh, verifier, [postgres.ping], trail, {"postgresql": postgres.ping})
        auth_pb2_grpc.add_AuthServiceServicer_to_server(servicer, server)
        # A wrong secret ends the program at once. A database that cannot be reached yet does not.
        with suppress(Unavailable):
            await keys.pair()
        async with _recommender(settings, mesh, issuer) as recommender:
            await serve(
                server,
                trail.run(),
                run_periodically(revocations.read, _REVOCATION_SECONDS),
                run_periodically(mails.delete_expired, _HOUSEKEEPING_SECONDS),
                *_mail_tasks(settings, mails),
                run_periodically(revocations.delete_expired, _HOUSEKEEPING_SECONDS),
                run_periodically(partial(audit_events.delete_expired, settings.audit_retention), _HOUSEKEEPING_SECONDS),
                run_periodically(DeletedUsers(ForgettingRepository(postgres), recommender).forget, _FORGET_SECONDS),
                run_periodically(Handovers(handovers, recommender).carry_out, _FORGET_SECONDS),
                run_periodically(keys.replenish, _HOUSEKEEPING_SECONDS),
                run_periodically(sign_ins.delete_expired, _HOUSEKEEPING_SECONDS),
                run_periodically(attempts.delete_expired, _HOUSEKEEPING_SECONDS),
                run_periodically(users.delete_expired_requests, _HOUSEKEEPING_SECONDS),
            )


def _servicer(
    settings: Settings,
    mesh: MeshSettings,
    users: UserRepository,
    attempts: AttemptRepository,
    sign_ins: SignInRepository,
    factors: SecondFactorRepository,
    keys: SigningKeys,
    issuer: TokenIssuer,
    audit_events: AuditEventRepository,
    revocations: RevocationRepository,
    mails: MailRepository,
    handovers: HandoverRepository,
) -> AuthServicer:
    secret = settings.secret.get_secret_value().encode()
    passwords = Passwords()
    credentials = Credentials(users, sign_ins, attempts, passwords)
    second_factors = SecondFactors(credentials, factors, attempts, sealing(PURPOSE, settings))
    service_secrets = {name: secret.get_secret_value() for name, secret in settings.service_secrets.items()}
    return AuthServicer(
        Grants(credentials, second_factors, sign_ins, issuer, service_secrets, settings.system_permissions, settings.second_factor_roles),
        Visitors(attempts, handovers, issuer, secret),
        Accounts(users, attempts, passwords, credentials),
        users,
        sign_ins,
        Recovery(users, mails, attempts, passwords, sends_mail=post(settings) is not None),
        second_factors,
        settings.second_factor_roles,
        keys,
        PageTokens(secret),
        mesh.trusted_proxies,
        secret,
        audit_events,
        revocations,
    )


def _mail_tasks(settings: Settings, mails: MailRepository) -> list[Coroutine[None, None, None]]:
    """Sends mail in the background, if this installation does."""
    if (way := post(settings)) is None:
        return []
    links = {Purpose.RESET_PASSWORD: settings.recovery_link, Purpose.VERIFY_EMAIL: settings.verify_email_link}
    return [run_periodically(Postman(mails, way, settings.mail_sender, links).send_due, _MAIL_SECONDS)]


def _recommender(settings: Settings, mesh: MeshSettings, issuer: TokenIssuer) -> grpc.aio.Channel:
    service = recommender_pb2.DESCRIPTOR.services_by_name["RecommenderService"]
    return channel.connect(settings.recommender_address, service, mesh, issuer.proof)


if __name__ == "__main__":
    try:
        uvloop.run(main())
    except WrongSealingSecret as error:
        sys.exit(str(error))
