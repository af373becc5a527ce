"""Calls and streams of callers whose tokens are no longer valid."""

import time
from collections.abc import AsyncIterator
from typing import TypeAlias

import grpc.aio
import pytest

from hashiramart.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from mesh.identity import Role, TokenVerifier
from mesh.revocations import RevokedTokens
from mesh.server import Server
from mesh.settings import MeshSettings
from tests.callers import Issuer
from tests.mesh.shop import new_shop, reason

Stub: TypeAlias = "catalog_pb2_grpc.CatalogServiceAsyncStub"


@pytest.fixture
def revoked_tokens() -> RevokedTokens:
    return RevokedTokens()


@pytest.fixture
async def stub(settings: MeshSettings, issuer: Issuer, revoked_tokens: RevokedTokens) -> AsyncIterator[Stub]:
    server = Server("127.0.0.1:0", settings, TokenVerifier(settings.jwt_issuer, settings.jwt_audience, issuer, revoked_tokens))
    catalog_pb2_grpc.add_CatalogServiceServicer_to_server(new_shop(), server)
    async with server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield catalog_pb2_grpc.CatalogServiceStub(channel)


async def seconds_until_refused(stub: Stub, metadata: tuple[tuple[str, str], ...], expected_reason: str) -> float:
    """How long a stream goes on."""
    begin = time.monotonic()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async for _change in stub.WatchProducts(catalog_pb2.WatchProductsRequest(), metadata=metadata, timeout=20):
            pass
    assert (refused.value.code(), reason(refused.value)) == (grpc.StatusCode.UNAUTHENTICATED, expected_reason)
    return time.monotonic() - begin


async def test_a_stream_ends_when_the_token_expires(stub: Stub, issuer: Issuer) -> None:
    # Tokens are accepted for a minute more, as clocks differ.
    token = issuer.token(Role.STAFF, "ann", lifetime_seconds=-58)
    assert 0.5 < await seconds_until_refused(stub, (("authorization", f"Bearer {token}"),), "TOKEN_EXPIRED") < 6


async def test_a_stream_ends_when_the_token_is_revoked(stub: Stub, issuer: Issuer, revoked_tokens: RevokedTokens) -> None:
    metadata = issuer.metadata(Role.STAFF, "ann")
    changes = aiter(stub.WatchProducts(catalog_pb2.WatchProductsRequest(), metadata=metadata, timeout=20))
    await anext(changes)
    revoked_tokens.replace({"bob": time.time() + 1, "ann": time.time() + 1})
    begin = time.monotonic()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        while True:
            await anext(changes)
    assert reason(refused.value) == "TOKEN_REVOKED"
    assert time.monotonic() - begin < 4


async def test_tokens_that_were_issued_later_and_those_of_others_are_valid(
    stub: Stub, issuer: Issuer, revoked_tokens: RevokedTokens
) -> None:
    revoked_tokens.replace({"bob": time.time() + 1, "ann": time.time() - 2})
    for subject, is_valid in (("ann", True), ("bob", False), ("kim", True)):
        changes = aiter(stub.WatchProducts(catalog_pb2.WatchProductsRequest(), metadata=issuer.metadata(Role.STAFF, subject), timeout=20))
        try:
            await anext(changes)
        except grpc.aio.AioRpcError as error:
            assert (reason(error), is_valid) == ("TOKEN_REVOKED", False)
        else:
            assert is_valid
