"""Verification of tokens, and the tokens of services."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm

from hashiramart.auth.v1 import auth_pb2, auth_pb2_grpc
from mesh.channel import connect
from mesh.errors import Unauthenticated, Unavailable
from mesh.identity import RemoteKeys, Role, ServiceToken, TokenVerifier
from mesh.server import Server
from mesh.settings import MeshSettings
from tests.callers import Issuer
from tests.mesh.shop import Context

AUTH = auth_pb2.DESCRIPTOR.services_by_name["AuthService"]
KEY = generate_private_key(SECP256R1())


class OneKey:
    async def key(self, kid: str) -> EllipticCurvePublicKey | None:
        return KEY.public_key() if kid == "one" else None


def claims(**changes: object) -> dict[str, object]:
    now = int(time.time())
    good = {"iss": "hashiramart", "aud": "hashiramart", "sub": "ann", "role": "customer", "iat": now, "exp": now + 3600, "jti": "1"}
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed_token(key: EllipticCurvePrivateKey = KEY, kid: str = "one", algorithm: str = "ES256", **changes: object) -> str:
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers={"kid": kid})


def unsigned_token(**header: object) -> str:
    parts = ({"typ": "JWT", "kid": "one"} | header, claims())
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


def verifier() -> TokenVerifier:
    return TokenVerifier("hashiramart", "hashiramart", OneKey())


async def test_a_valid_token_identifies_the_caller() -> None:
    caller = await verifier().verify(signed_token(customer_number="17850", nbf=int(time.time())))
    assert (caller.subject, caller.role, caller.customer_number) == ("ann", Role.CUSTOMER, "17850")


PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
SOON = int(time.time()) + 3600


@pytest.mark.parametrize(
    "token",
    [
        unsigned_token(alg="none"),
        unsigned_token(alg="NONE"),
        unsigned_token(alg="ES256"),
        unsigned_token(alg="HS256"),
        signed_token(generate_private_key(SECP256R1())),
        signed_token(generate_private_key(SECP384R1()), algorithm="ES384"),
        signed_token(kid="two"),
        jwt.encode(claims(), KEY, algorithm="ES256"),
        signed_token(aud="another"),
        signed_token(iss="another"),
        signed_token(role="root"),
        signed_token(role="anonymous"),
        signed_token(role=["admin"]),
        signed_token(sub=""),
        signed_token(sub=None),
        signed_token(aud=None),
        signed_token(iss=None),
        signed_token(iat=None),
        signed_token(exp=None),
        signed_token(jti=None),
        signed_token(role=None),
        signed_token(iat=SOON, exp=SOON + 60),
        signed_token(nbf=SOON, exp=SOON + 60),
        signed_token()[:-4] + "AAAA",
        "",
        "nonsense",
        "a.b.c",
        "é.é.é",
        "." * 1000,
    ],
)
async def test_a_text_that_is_not_one_of_our_tokens_is_invalid(token: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        await verifier().verify(token)
    assert refused.value.reason == "TOKEN_INVALID"


async def test_a_token_signed_with_our_public_key_as_a_secret_is_invalid() -> None:
    body = unsigned_token(alg="HS256").rstrip(".")
    seal = base64.urlsafe_b64encode(hmac.digest(PEM, body.encode(), hashlib.sha256)).decode().rstrip("=")
    with pytest.raises(Unauthenticated):
        await verifier().verify(f"{body}.{seal}")


async def test_an_expired_token_has_a_reason_of_its_own() -> None:
    with pytest.raises(Unauthenticated) as refused:
        await verifier().verify(signed_token(iat=int(time.time()) - 120, exp=int(time.time()) - 61))
    assert refused.value.reason == "TOKEN_EXPIRED"


async def test_a_token_that_was_valid_expires() -> None:
    tokens = verifier()
    # Clocks may differ by a minute, so this one is valid for two seconds more.
    token = signed_token(exp=int(time.time()) - 58)
    await tokens.verify(token)
    await asyncio.sleep(2.1)
    with pytest.raises(Unauthenticated) as refused:
        await tokens.verify(token)
    assert refused.value.reason == "TOKEN_EXPIRED"


class Auth(auth_pb2_grpc.AuthServiceServicer):
    """Lists its keys, and issues tokens signed with the first."""

    def __init__(self) -> None:
        self.keys = {"one": KEY}
        self.listed = self.issued = 0
        self.lifetime_seconds = 900

    async def ListSigningKeys(  # noqa: N802 the contract's name
        self, request: auth_pb2.ListSigningKeysRequest, context: Context
    ) -> auth_pb2.ListSigningKeysResponse:
        self.listed += 1
        keys = (json.loads(ECAlgorithm.to_jwk(key.public_key())) | {"kid": kid} for kid, key in self.keys.items())
        return auth_pb2.ListSigningKeysResponse(keys=[auth_pb2.SigningKey(**key) for key in keys])

    async def IssueToken(self, request: auth_pb2.IssueTokenRequest, context: Context) -> auth_pb2.Token:  # noqa: N802
        self.issued += 1
        await asyncio.sleep(0.05)
        assert (request.grant_type, request.client_id, request.client_secret) == ("client_credentials", "catalog", "s3cret")
        token = signed_token(sub=request.client_id, role="service", jti=str(uuid.uuid4()))
        return auth_pb2.Token(access_token=token, token_type="Bearer", expires_in=self.lifetime_seconds)


@asynccontextmanager
async def served_auth(settings: MeshSettings, issuer: Issuer) -> AsyncIterator[tuple[Auth, Server, grpc.aio.Channel]]:
    auth = Auth()  # type: ignore[abstract]  # no more of it is needed
    server = Server("127.0.0.1:0", settings, TokenVerifier(settings.jwt_issuer, settings.jwt_audience, issuer))
    auth_pb2_grpc.add_AuthServiceServicer_to_server(auth, server)
    async with server, connect(f"127.0.0.1:{server.port}", AUTH, settings) as channel:
        yield auth, server, channel


async def test_keys_are_fetched_once_and_again_when_a_new_one_signs(settings: MeshSettings, issuer: Issuer) -> None:
    async with served_auth(settings, issuer) as (auth, _server, channel):
        keys = RemoteKeys(channel)
        assert auth.listed == 0
        found = await asyncio.gather(*(keys.key("one") for _ in range(20)))
        assert all(found)
        assert auth.listed == 1
        auth.keys["two"] = generate_private_key(SECP256R1())
        # Keys were fetched a moment ago, and a token with an unknown key does not have them fetched again at once.
        assert [await keys.key("two"), await keys.key("three")] == [None, None]
        assert auth.listed == 1
        await asyncio.sleep(5)
        assert await keys.key("two")
        assert auth.listed == 2


async def test_known_keys_stay_valid_while_auth_is_down(settings: MeshSettings, issuer: Issuer) -> None:
    async with served_auth(settings, issuer) as (_auth, server, channel):
        keys, strangers = RemoteKeys(channel), RemoteKeys(channel)
        assert await keys.key("one")
        await server.stop(0)
        assert await keys.key("one")
        for _ in range(2):
            with pytest.raises(Unavailable) as refused:
                await strangers.key("one")
            assert refused.value.reason == "SERVICE_UNAVAILABLE"


async def test_a_service_gets_one_token_for_all_its_calls(settings: MeshSettings, issuer: Issuer) -> None:
    async with served_auth(settings, issuer) as (auth, _server, channel):
        token = ServiceToken(channel, "catalog", "s3cret")
        proofs = await asyncio.gather(*(token.proof() for _ in range(20)))
        assert len(set(map(tuple, proofs))) == auth.issued == 1
        ((name, value),) = proofs[0]
        assert name == "authorization"
        caller = await TokenVerifier(settings.jwt_issuer, settings.jwt_audience, RemoteKeys(channel)).verify(value.split()[1])
        assert (caller.subject, caller.role) == ("catalog", Role.SERVICE)


async def test_a_services_token_is_renewed_before_it_expires(settings: MeshSettings, issuer: Issuer) -> None:
    async with served_auth(settings, issuer) as (auth, _server, channel):
        auth.lifetime_seconds = 1
        token = ServiceToken(channel, "catalog", "s3cret")
        first = await token.proof()
        await asyncio.sleep(0.85)
        assert await token.proof() != first
