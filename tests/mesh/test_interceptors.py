"""The interceptors of a server: errors, validation, access, request ids."""

import asyncio
import importlib
import itertools
import json
import pkgutil
import re
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import ModuleType

import grpc.aio
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2

import hashiramart
from hashiramart.access.v1 import access_pb2
from hashiramart.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from mesh import telemetry
from mesh.identity import Role, TokenVerifier
from mesh.interceptors.validation import violations
from mesh.server import Server
from mesh.settings import MeshSettings
from tests.callers import Issuer
from tests.mesh.shop import CATALOG, Shop, connect_stub, detail, new_shop, raw_method, reason, serve_shop

STAFF = Role.STAFF


async def test_an_error_arrives_with_its_status_reason_and_message(settings: MeshSettings, issuer: Issuer) -> None:
    async with serve_shop(new_shop(), settings, issuer) as server, connect_stub(server, settings) as shop:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await shop.GetProduct(catalog_pb2.GetProductRequest(id="missing"))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert refused.value.details() == "there is no product 'missing'"
    assert detail(refused.value, error_details_pb2.ErrorInfo) == error_details_pb2.ErrorInfo(
        reason="PRODUCT_NOT_FOUND", domain="hashiramart", metadata={"resource": "product", "id": "missing"}
    )


async def test_an_internal_error_tells_the_client_nothing_but_the_request_id(
    settings: MeshSettings, issuer: Issuer, capfd: pytest.CaptureFixture[str]
) -> None:
    telemetry.start("shop", settings)
    async with serve_shop(new_shop(), settings, issuer) as server, connect_stub(server, settings) as shop:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await shop.GetProduct(catalog_pb2.GetProductRequest(id="fault"), metadata=(("x-request-id", "request-1"),))
    assert (refused.value.code(), reason(refused.value)) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert refused.value.details() == "an internal error, logged under the request id 'request-1'"
    assert detail(refused.value, error_details_pb2.RequestInfo) == error_details_pb2.RequestInfo(request_id="request-1")
    fault = next(line for line in log_lines(capfd) if line["event"] == "internal error")
    assert fault["request_id"] == "request-1"
    assert "ValueError" in str(fault["exception"])


async def test_no_secret_reaches_the_log_even_in_the_traceback_of_an_internal_error(
    settings: MeshSettings, issuer: Issuer, capfd: pytest.CaptureFixture[str]
) -> None:
    telemetry.start("shop", settings)
    metadata = issuer.metadata(STAFF)
    async with serve_shop(new_shop(), settings, issuer) as server, connect_stub(server, settings) as shop:
        with pytest.raises(grpc.aio.AioRpcError):
            await shop.GetProduct(catalog_pb2.GetProductRequest(id="fault-hunter2"), metadata=metadata)
    written = capfd.readouterr()
    assert "cannot divide" in written.out
    assert "hunter2" not in written.out + written.err
    assert metadata[0][1].split()[1] not in written.out + written.err


async def test_each_violation_names_its_field_and_rule(settings: MeshSettings, issuer: Issuer) -> None:
    request = catalog_pb2.CreateProductRequest(product=catalog_pb2.Product(name="a mug", id="no spaces", price_cents=-1))
    async with serve_shop(new_shop(), settings, issuer) as server, connect_stub(server, settings) as shop:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await shop.CreateProduct(request, metadata=issuer.metadata(STAFF))
    bad = detail(refused.value, error_details_pb2.BadRequest)
    assert bad
    assert (refused.value.code(), reason(refused.value)) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert {violation.field for violation in bad.field_violations} == {"product.id", "product.price_cents"}
    assert all(violation.description for violation in bad.field_violations)


def test_a_violation_inside_a_list_says_where() -> None:
    found = violations(catalog_pb2.BatchGetProductsRequest(ids=["good", "not good"]))
    assert [violation.field for violation in found] == ["ids[1]"]


def test_a_rule_of_a_request_on_a_message_in_it_names_the_field_that_it_concerns() -> None:
    request = catalog_pb2.ReplaceProductRequest(product=catalog_pb2.Product(stock=1))
    assert {each.field for each in violations(request)} == {"product.id", "product.name"}


async def test_the_messages_of_a_stream_are_validated_too(settings: MeshSettings, issuer: Issuer) -> None:
    good = catalog_pb2.ImportProductsRequest(product=catalog_pb2.Product(id="mug"))
    async with serve_shop(new_shop(), settings, issuer) as server, connect_stub(server, settings) as shop:
        answer = await shop.ImportProducts(iter([good, good]), metadata=issuer.metadata(STAFF))
        assert answer.row_count == 2


async def test_bytes_that_are_not_a_message_are_malformed(settings: MeshSettings, issuer: Issuer) -> None:
    async with serve_shop(new_shop(), settings, issuer) as server, raw_method(server, "GetProduct") as get:
        for body in (b"\x0a\xff", b"\x0a\x01\xff"):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await get(body)
            assert (refused.value.code(), reason(refused.value)) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST")


async def test_a_call_keeps_its_request_id_or_gets_one(settings: MeshSettings, issuer: Issuer) -> None:
    async with serve_shop(new_shop(), settings, issuer) as server, raw_method(server, "GetProduct") as get:
        for given, expected in ((("x-request-id", "mine"),), "mine"), ((), None), ((("x-request-id", "x" * 129),), None):
            call = get(catalog_pb2.GetProductRequest(id="mug").SerializeToString(), metadata=given)
            await call
            answered = dict(await call.trailing_metadata())["x-request-id"]
            assert answered == expected if expected else re.fullmatch("[0-9a-f]{32}", str(answered))


async def test_a_method_that_is_not_served_is_unimplemented_with_a_reason(settings: MeshSettings, issuer: Issuer) -> None:
    async with serve_shop(new_shop(), settings, issuer) as server, connect_stub(server, settings) as shop:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await shop.ListProducts(catalog_pb2.ListProductsRequest())
    assert (refused.value.code(), reason(refused.value)) == (grpc.StatusCode.UNIMPLEMENTED, "NOT_IMPLEMENTED")


async def test_a_method_that_no_contract_has_is_unimplemented(settings: MeshSettings, issuer: Issuer) -> None:
    async with serve_shop(new_shop(), settings, issuer) as server, raw_method(server, "BurnProducts") as burn:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await burn(b"")
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_call_whose_deadline_has_passed_is_not_begun(settings: MeshSettings, issuer: Issuer) -> None:
    shop = new_shop()
    async with serve_shop(shop, settings, issuer) as server:
        with grpc.insecure_channel(f"localhost:{server.port}") as channel:
            get: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{CATALOG.full_name}/GetProduct")
            request = catalog_pb2.GetProductRequest(id="mug").SerializeToString()
            await asyncio.to_thread(get, request)
            caller = threading.Thread(target=lambda: get.future(request, timeout=0.2).exception())
            caller.start()
            time.sleep(0.5)  # noqa: ASYNC251 the service is busy with something else for longer than the caller waits.
            await asyncio.sleep(0.2)
            caller.join()
    assert shop.calls == 1


async def test_an_error_of_another_service_is_passed_on_unchanged(settings: MeshSettings, issuer: Issuer) -> None:
    async with supplied(settings, issuer) as (_supplier, shop):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await shop.GetProduct(catalog_pb2.GetProductRequest(id="supplied-missing"))
    assert refused.value.details() == "there is no product 'missing'"
    assert reason(refused.value) == "PRODUCT_NOT_FOUND"


async def test_a_service_that_is_down_makes_those_unavailable_that_need_it(settings: MeshSettings, issuer: Issuer) -> None:
    async with supplied(settings, issuer) as (supplier, shop):
        await supplier.stop(0)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await shop.GetProduct(catalog_pb2.GetProductRequest(id="supplied-mug"))
    assert (refused.value.code(), reason(refused.value)) == (grpc.StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE")
    assert detail(refused.value, error_details_pb2.RetryInfo)


async def test_a_service_that_is_slow_takes_no_longer_than_its_caller_waits(settings: MeshSettings, issuer: Issuer) -> None:
    async with supplied(settings, issuer) as (_supplier, shop):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await shop.GetProduct(catalog_pb2.GetProductRequest(id="supplied-slow"), timeout=0.3)
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_public_call_with_an_invalid_token_is_anonymous(settings: MeshSettings, issuer: Issuer) -> None:
    shop = new_shop()
    async with serve_shop(shop, settings, issuer) as server, connect_stub(server, settings) as stub:
        for value in ("Bearer nonsense", "Basic YW5uOnNlY3JldA==", "Bearer ", "nonsense"):
            await stub.GetProduct(catalog_pb2.GetProductRequest(id="mug"), metadata=(("authorization", value),))
        await stub.GetProduct(catalog_pb2.GetProductRequest(id="mug"), metadata=issuer.metadata(Role.CUSTOMER, "ann"))
    assert [caller.role for caller in shop.callers] == [Role.ANONYMOUS] * 4 + [Role.CUSTOMER]
    assert shop.callers[-1].subject == "ann"
    assert str(shop.callers[-1].token) not in repr(shop.callers[-1])


async def test_a_handler_that_is_not_async_cannot_be_added(settings: MeshSettings, issuer: Issuer) -> None:
    class Old(Shop):
        def GetProduct(self, request: catalog_pb2.GetProductRequest, context: object) -> catalog_pb2.Product:  # type: ignore[override]  # noqa: N802
            return catalog_pb2.Product(id=request.id)

    with pytest.raises(TypeError, match="GetProduct must be served by an async function"):
        async with serve_shop(Old(), settings, issuer):  # type: ignore[abstract]
            pass


ALLOWED = {
    access_pb2.ACCESS_UNSPECIFIED: {Role.ADMIN},
    access_pb2.ACCESS_PUBLIC: {*Role},
    access_pb2.ACCESS_USER: {Role.CUSTOMER, Role.STAFF, Role.ADMIN},
    access_pb2.ACCESS_STAFF: {Role.STAFF, Role.ADMIN},
    access_pb2.ACCESS_ADMIN: {Role.ADMIN},
    access_pb2.ACCESS_SERVICE: {Role.SERVICE},
    access_pb2.ACCESS_STAFF_OR_SERVICE: {Role.STAFF, Role.ADMIN, Role.SERVICE},
    access_pb2.ACCESS_SHOPPER: {Role.VISITOR, Role.CUSTOMER, Role.STAFF, Role.ADMIN},
    access_pb2.ACCESS_SHOPPER_OR_SYSTEM: {Role.VISITOR, Role.CUSTOMER, Role.STAFF, Role.ADMIN, Role.SYSTEM},
}


async def test_every_method_allows_the_roles_that_its_contract_names_and_no_other(settings: MeshSettings, issuer: Issuer) -> None:
    """A method that allows the caller ends with UNIMPLEMENTED, since this server does not implement it."""
    server = Server("127.0.0.1:0", settings, TokenVerifier(settings.jwt_issuer, settings.jwt_audience, issuer))
    methods = []
    for module in contracts():
        for service in module.DESCRIPTOR.services_by_name.values():
            stubs = importlib.import_module(f"{module.__name__}_grpc")
            getattr(stubs, f"add_{service.name}Servicer_to_server")(getattr(stubs, f"{service.name}Servicer")(), server)
            methods += service.methods
    async with server, grpc.aio.insecure_channel(address := f"localhost:{server.port}") as channel:
        for method, role in itertools.product(methods, Role):
            services = method.GetOptions().Extensions[access_pb2.callers]
            metadata = () if role is Role.ANONYMOUS else issuer.metadata(role, services[0] if role is Role.SERVICE and services else "ann")
            code = await (upload_answer(address, method, metadata) if method.client_streaming else answer(channel, method, metadata))
            allowed = role in ALLOWED[method.GetOptions().Extensions[access_pb2.access]]
            refusal = grpc.StatusCode.UNAUTHENTICATED if role is Role.ANONYMOUS else grpc.StatusCode.PERMISSION_DENIED
            assert code is (grpc.StatusCode.UNIMPLEMENTED if allowed else refusal), (method.full_name, role)
    assert len(methods) > 30


@asynccontextmanager
async def supplied(settings: MeshSettings, issuer: Issuer) -> AsyncIterator[tuple[Server, "catalog_pb2_grpc.CatalogServiceAsyncStub"]]:
    """The server of a shop, and a stub of another shop that calls it for products that it does not have itself."""
    async with (
        serve_shop(new_shop(), settings, issuer) as supplier,
        connect_stub(supplier, settings) as supply,
        serve_shop(new_shop(supply), settings, issuer) as server,
        connect_stub(server, settings) as shop,
    ):
        yield supplier, shop


async def answer(channel: grpc.aio.Channel, method: MethodDescriptor, metadata: tuple[tuple[str, str], ...]) -> grpc.StatusCode:
    """The status code of an empty call."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    empty = GetMessageClass(method.input_type)().SerializeToString()
    if method.server_streaming:
        watch: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(path)
        return await watch(empty, metadata=metadata).code()
    get: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
    return await get(empty, metadata=metadata).code()


async def upload_answer(address: str, method: MethodDescriptor, metadata: tuple[tuple[str, str], ...]) -> grpc.StatusCode:
    """The same for a method that takes a stream.

    Not by `grpc.aio`, which may report INTERNAL where a server refuses a stream that is being written (grpc/grpc issue 36066).
    """

    def call() -> grpc.StatusCode:
        path = f"/{method.containing_service.full_name}/{method.name}"
        empty = GetMessageClass(method.input_type)().SerializeToString()
        with grpc.insecure_channel(address) as channel:
            upload: grpc.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(path)
            return upload.future(iter([empty]), metadata=metadata).code()

    return await asyncio.to_thread(call)


def contracts() -> Iterator[ModuleType]:
    for module in pkgutil.walk_packages(hashiramart.__path__, "hashiramart."):
        if module.name.endswith("_pb2"):
            yield importlib.import_module(module.name)


def log_lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


async def test_a_service_calls_what_the_contract_names_it_for_and_nothing_else(settings: MeshSettings, issuer: Issuer) -> None:
    async with serve_shop(new_shop(), settings, issuer) as server, connect_stub(server, settings) as stub:
        for service, may_call in (("recommender", True), ("jobs", False), ("auth", False)):
            changes = aiter(stub.WatchProducts(catalog_pb2.WatchProductsRequest(), metadata=issuer.metadata(Role.SERVICE, service)))
            try:
                await anext(changes)
            except grpc.aio.AioRpcError as error:
                assert (error.code(), reason(error), may_call) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED", False)
            else:
                assert may_call
