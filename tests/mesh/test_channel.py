"""What a channel adds to calls: deadline, retries, idle limit, proof of the caller."""

import grpc.aio
import pytest

from hashiramart.catalog.v1 import catalog_pb2
from hashiramart.jobs.v1 import jobs_pb2
from mesh import identity
from mesh.channel import connect, service_config
from mesh.identity import ANONYMOUS, Caller, Role
from mesh.settings import MeshSettings
from tests.callers import Issuer
from tests.mesh.shop import CATALOG, connect_stub, new_shop, reason, serve_shop

MUG = catalog_pb2.GetProductRequest(id="mug")
NEW_MUG = catalog_pb2.CreateProductRequest(product=catalog_pb2.Product(name="mug"))


@pytest.fixture(scope="session", params=["grpcio", "native"])
def settings(request: pytest.FixtureRequest, settings: MeshSettings) -> MeshSettings:
    """Both transports do all this."""
    return settings.model_copy(update={"transport": request.param})


async def test_an_idempotent_call_is_retried(settings: MeshSettings, issuer: Issuer) -> None:
    shop = new_shop()
    async with serve_shop(shop, settings, issuer) as server, connect_stub(server, settings) as stub:
        shop.closed = 2
        assert (await stub.GetProduct(MUG)).id == "mug"
    assert shop.calls == 3


async def test_a_call_that_is_not_idempotent_is_not_retried(settings: MeshSettings, issuer: Issuer) -> None:
    shop = new_shop()
    async with serve_shop(shop, settings, issuer) as server, connect_stub(server, settings) as stub:
        shop.closed = 1
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.CreateProduct(NEW_MUG, metadata=issuer.metadata(Role.STAFF))
    assert (refused.value.code(), reason(refused.value)) == (grpc.StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE")
    assert shop.calls == 1


def test_exactly_the_idempotent_methods_are_retried() -> None:
    config = service_config(jobs_pb2.DESCRIPTOR.services_by_name["JobsService"])
    ((names, _policy),) = (method.values() for method in config["methodConfig"])  # type: ignore[attr-defined]
    assert {name["method"] for name in names} >= {"GetJob", "ListJobs", "CancelJob"}
    assert not {name["method"] for name in names} & {"SubmitEtlJob", "SubmitTrainingJob"}


async def test_a_call_without_a_deadline_gets_one(settings: MeshSettings, issuer: Issuer) -> None:
    hasty = settings.model_copy(update={"deadline_seconds": 0.2})
    async with serve_shop(new_shop(), settings, issuer) as server, connect_stub(server, hasty) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetProduct(catalog_pb2.GetProductRequest(id="slow"))
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_stream_that_is_silent_for_too_long_ends(settings: MeshSettings, issuer: Issuer) -> None:
    hasty = settings.model_copy(update={"stream_idle_seconds": 0.2})
    async with serve_shop(new_shop(), settings, issuer) as server, connect_stub(server, hasty) as stub:
        watch = stub.WatchProducts(catalog_pb2.WatchProductsRequest(), metadata=issuer.metadata(Role.STAFF))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            assert [change.token async for change in watch] == ["first"]
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert refused.value.details() == "the stream was silent for 0.2 seconds"


async def test_a_stream_ends_when_its_server_ends_it(settings: MeshSettings, issuer: Issuer) -> None:
    async with serve_shop(new_shop(), settings, issuer) as server, connect_stub(server, settings) as stub:
        watch = stub.WatchProducts(catalog_pb2.WatchProductsRequest(token="last"), metadata=issuer.metadata(Role.STAFF))
        assert [change.token async for change in watch] == ["first"]
        assert await watch.code() is grpc.StatusCode.OK


async def test_a_stream_that_is_no_longer_read_is_cancelled(settings: MeshSettings, issuer: Issuer) -> None:
    async with serve_shop(new_shop(), settings, issuer) as server, connect_stub(server, settings) as stub:
        watch = stub.WatchProducts(catalog_pb2.WatchProductsRequest(), metadata=issuer.metadata(Role.STAFF))
        async for _change in watch:
            break
        watch.cancel()
        assert await watch.code() is grpc.StatusCode.CANCELLED


async def test_calls_made_for_a_caller_carry_their_token(settings: MeshSettings, issuer: Issuer) -> None:
    shop = new_shop()
    async with serve_shop(shop, settings, issuer) as server, connect_stub(server, settings, identity.caller_proof) as stub:
        identity.enter(Caller("ann", Role.STAFF, token=issuer.token(Role.STAFF, "ann")))
        await stub.CreateProduct(NEW_MUG)
        identity.enter(ANONYMOUS)
        await stub.GetProduct(MUG)
    assert [(caller.subject, caller.role) for caller in shop.callers] == [("ann", Role.STAFF), ("", Role.ANONYMOUS)]


def test_plaintext_stays_on_the_loopback(settings: MeshSettings) -> None:
    with pytest.raises(ValueError, match="catalog.example:50052 is not on the loopback"):
        connect("catalog.example:50052", CATALOG, settings)
