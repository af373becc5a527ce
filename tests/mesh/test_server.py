"""Start, health, reflection, stop and TLS of a server."""

import asyncio
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from hashiramart.auth.v1 import auth_pb2, auth_pb2_grpc
from hashiramart.catalog.v1 import catalog_pb2
from mesh import certificates, identity
from mesh.channel import connect
from mesh.database import connect as connect_database
from mesh.identity import Role, TokenVerifier
from mesh.server import Server
from mesh.settings import MeshSettings
from tests.callers import Issuer
from tests.engines.ports import free_port
from tests.engines.postgres import Postgres
from tests.mesh.shop import CATALOG, connect_stub, new_shop, reason, serve_shop

Status = health_pb2.HealthCheckResponse
AUTH = auth_pb2.DESCRIPTOR.services_by_name["AuthService"]
MUG = catalog_pb2.GetProductRequest(id="mug")
SLOW_SECONDS = 1.5


@pytest.fixture(scope="session", params=["grpcio", "native"])
def settings(request: pytest.FixtureRequest, settings: MeshSettings) -> MeshSettings:
    """Both transports do all this."""
    return settings.model_copy(update={"transport": request.param})


async def health(channel: grpc.aio.Channel, service: str = "") -> int:
    check: grpc.aio.UnaryUnaryMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse] = channel.unary_unary(
        "/grpc.health.v1.Health/Check", health_pb2.HealthCheckRequest.SerializeToString, health_pb2.HealthCheckResponse.FromString
    )
    return (await check(health_pb2.HealthCheckRequest(service=service))).status


def watch_health(
    channel: grpc.aio.Channel,
) -> grpc.aio.UnaryStreamCall[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]:
    watch: grpc.aio.UnaryStreamMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse] = channel.unary_stream(
        "/grpc.health.v1.Health/Watch", health_pb2.HealthCheckRequest.SerializeToString, health_pb2.HealthCheckResponse.FromString
    )
    return watch(health_pb2.HealthCheckRequest(service=CATALOG.full_name))


def plain(server: Server) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(f"localhost:{server.port}")


async def test_anybody_may_ask_for_the_health_of_the_server_and_of_each_service(settings: MeshSettings, issuer: Issuer) -> None:
    async with serve_shop(new_shop(), settings, issuer) as server, plain(server) as channel:
        assert await health(channel) == await health(channel, CATALOG.full_name) == Status.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await health(channel, "hashiramart.unknown")
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_health_comes_with_the_version_that_runs(settings: MeshSettings, issuer: Issuer) -> None:
    async with serve_shop(new_shop(), settings, issuer) as server, plain(server) as channel:
        check: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/grpc.health.v1.Health/Check")
        call = check(b"")
        await call
        assert dict(await call.trailing_metadata())["x-service-version"] == version("hashiramart")


async def test_health_follows_the_database_soon(settings: MeshSettings, issuer: Issuer, postgres: Postgres) -> None:
    async with (
        await connect_database(postgres.create_database(), settings) as database,
        serve_shop(new_shop(), settings, issuer, [database.ping]) as server,
        plain(server) as channel,
    ):
        told = aiter(watch_health(channel))
        assert (await anext(told)).status == Status.SERVING
        with postgres.stopped():
            begin = time.monotonic()
            assert (await anext(told)).status == Status.NOT_SERVING
            assert time.monotonic() - begin < 5
            assert await health(channel) == Status.NOT_SERVING
        begin = time.monotonic()
        assert (await anext(told)).status == Status.SERVING
        assert time.monotonic() - begin < 5


async def test_a_service_starts_without_its_database_and_is_not_healthy(settings: MeshSettings, issuer: Issuer, postgres: Postgres) -> None:
    url = postgres.create_database()
    with postgres.stopped():
        async with (
            await connect_database(url, settings) as database,
            serve_shop(new_shop(), settings, issuer, [database.ping]) as server,
            plain(server) as channel,
        ):
            assert await health(channel) == Status.NOT_SERVING
            # There is no healthy replica, so calls fail at once.
            async with connect_stub(server, settings) as shop:
                begin = time.monotonic()
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await shop.GetProduct(MUG)
                assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
                assert time.monotonic() - begin < 5


async def test_a_check_that_hangs_fails(settings: MeshSettings, issuer: Issuer) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    async with serve_shop(new_shop(), settings, issuer, [hang]) as server, plain(server) as channel:
        assert await health(channel) == Status.NOT_SERVING


async def test_a_slow_check_ends_no_health_and_one_that_hangs_does(settings: MeshSettings, issuer: Issuer) -> None:
    checked, hangs = 0, False

    async def ping() -> None:
        nonlocal checked
        checked += 1
        if checked == 2:
            await asyncio.sleep(SLOW_SECONDS)
        if hangs:
            await asyncio.Event().wait()

    async with serve_shop(new_shop(), settings, issuer, [ping]) as server, plain(server) as channel:
        while checked < 3:
            assert await health(channel) == Status.SERVING
            await asyncio.sleep(0.02)
        hangs = True
        while await health(channel) == Status.SERVING:
            await asyncio.sleep(0.02)


async def test_an_engine_that_is_away_is_listed_and_ends_no_health(settings: MeshSettings, issuer: Issuer) -> None:
    async def ping_store() -> None:
        raise OSError("no store")

    async def ping_hdfs() -> None:
        pass

    async with (
        serve_shop(new_shop(), settings, issuer, engines={"store": ping_store, "hdfs": ping_hdfs}) as server,
        plain(server) as channel,
    ):
        listing: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/grpc.health.v1.Health/List")

        async def listed() -> dict[str, int]:
            answer = health_pb2.HealthListResponse.FromString(await listing(b""))  # type: ignore[attr-defined]  # missing in the types
            return {name: health.status for name, health in answer.statuses.items()}

        while len(found := await listed()) < 4:
            await asyncio.sleep(0.02)
        services = {"": Status.SERVING, CATALOG.full_name: Status.SERVING}
        assert found == services | {"engine/store": Status.NOT_SERVING, "engine/hdfs": Status.SERVING}


async def test_reflection_lists_the_services_to_anybody(settings: MeshSettings, issuer: Issuer) -> None:
    async with serve_shop(new_shop(), settings, issuer) as server, plain(server) as channel:
        ask: grpc.aio.StreamStreamMultiCallable[reflection_pb2.ServerReflectionRequest, reflection_pb2.ServerReflectionResponse]
        ask = channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString,
        )
        answers = [answer async for answer in ask(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))]
    assert CATALOG.full_name in {service.name for service in answers[0].list_services_response.service}


async def test_a_port_in_use_raises_an_error_that_says_so(settings: MeshSettings, issuer: Issuer) -> None:
    async with serve_shop(new_shop(), settings, issuer) as server:
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{server.port}"):
            await Server(f"127.0.0.1:{server.port}", settings, TokenVerifier("", "", issuer)).start()


async def test_plaintext_is_served_on_the_loopback_alone(settings: MeshSettings, issuer: Issuer) -> None:
    with pytest.raises(ValueError, match="0.0.0.0:50052 is not on the loopback"):
        await Server("0.0.0.0:50052", settings, TokenVerifier("", "", issuer)).start()


async def test_a_stream_ends_with_unavailable_when_its_server_stops(settings: MeshSettings, issuer: Issuer) -> None:
    patient = settings.model_copy(update={"drain_delay_seconds": 0.2})
    async with serve_shop(new_shop(), patient, issuer) as server, connect_stub(server, settings) as stub, plain(server) as channel:
        changes = aiter(stub.WatchProducts(catalog_pb2.WatchProductsRequest(), metadata=issuer.metadata(Role.STAFF)))
        told = aiter(watch_health(channel))
        assert (await anext(changes)).token == "first"
        assert (await anext(told)).status == Status.SERVING
        begin = time.monotonic()
        await server.stop(10)
        assert time.monotonic() - begin < 5
        assert (await anext(told)).status == Status.NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await anext(changes)
    assert (refused.value.code(), reason(refused.value)) == (grpc.StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE")


async def test_a_call_under_way_is_completed_when_its_server_stops(settings: MeshSettings, issuer: Issuer) -> None:
    async with serve_shop(new_shop(), settings, issuer) as server, connect_stub(server, settings) as stub:
        call = stub.GetProduct(catalog_pb2.GetProductRequest(id="slow"))
        await asyncio.sleep(0.2)
        await server.stop(10)
        assert (await call).id == "slow"


async def test_no_call_is_lost_while_one_replica_after_the_other_is_replaced() -> None:
    """Not even one that is not idempotent."""
    ports = [free_port(), free_port()]
    replicas = [await asyncio.to_thread(start_replica, port) for port in ports]
    codes: Counter[grpc.StatusCode] = Counter()
    request = auth_pb2.IssueTokenRequest(grant_type="password")
    done = asyncio.Event()
    try:
        async with connect(f"ipv4:127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}", AUTH, MeshSettings()) as channel:
            stub = auth_pb2_grpc.AuthServiceStub(channel)

            async def call_on() -> None:
                while not done.is_set():
                    codes[await stub.IssueToken(request).code()] += 1

            callers = [asyncio.create_task(call_on()) for _ in range(16)]
            for number in (0, 1):
                await asyncio.sleep(1.5)
                replicas[number].send_signal(signal.SIGTERM)
                await asyncio.to_thread(replicas[number].communicate, timeout=10)
                assert replicas[number].returncode == 0
                replicas[number] = await asyncio.to_thread(start_replica, ports[number])
            await asyncio.sleep(1.5)
            done.set()
            await asyncio.gather(*callers)
    finally:
        for replica in replicas:
            replica.kill()
            replica.communicate()
    assert set(codes) == {grpc.StatusCode.OK}
    assert codes.total() > 500


def start_replica(port: int) -> "subprocess.Popen[str]":
    replica = subprocess.Popen([sys.executable, "-m", "tests.mesh.replica", str(port)], stdout=subprocess.PIPE, text=True)
    assert replica.stdout
    assert '"serving"' in replica.stdout.readline()
    return replica


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory, settings: MeshSettings) -> Callable[[str], MeshSettings]:
    """The settings of a process with a certificate of its own."""
    folder = tmp_path_factory.mktemp("certs")
    certificates.issue(folder)

    def of(name: str) -> MeshSettings:
        files = {"tls_certificate": folder / f"{name}.crt", "tls_key": folder / f"{name}.key", "tls_ca": folder / "ca.crt"}
        return settings.model_copy(update=files)

    return of


async def test_services_with_certificates_of_one_authority_speak_tls(certified: Callable[[str], MeshSettings], issuer: Issuer) -> None:
    async with serve_shop(new_shop(), certified("catalog"), issuer) as server, connect_stub(server, certified("jobs")) as stub:
        assert (await stub.GetProduct(MUG)).id == "mug"


async def test_a_certificate_identifies_a_service_in_calls_that_say_so(certified: Callable[[str], MeshSettings], issuer: Issuer) -> None:
    shop = new_shop()
    async with serve_shop(shop, certified("catalog"), issuer) as server:
        async with connect_stub(server, certified("recommender"), identity.certificate_proof) as stub:
            async for _change in stub.WatchProducts(catalog_pb2.WatchProductsRequest()):
                break
        async with connect_stub(server, certified("recommender")) as stub:
            await stub.GetProduct(MUG)
    assert [(caller.subject, caller.role) for caller in shop.callers] == [("recommender", Role.SERVICE), ("", Role.ANONYMOUS)]


async def test_without_tls_a_call_that_claims_a_certificate_is_anonymous(settings: MeshSettings, issuer: Issuer) -> None:
    shop = new_shop()
    async with serve_shop(shop, settings, issuer) as server, connect_stub(server, settings, identity.certificate_proof) as stub:
        await stub.GetProduct(MUG)
    assert shop.callers[0].role is Role.ANONYMOUS


async def test_a_client_without_a_certificate_of_the_authority_cannot_connect(
    certified: Callable[[str], MeshSettings], settings: MeshSettings, issuer: Issuer, tmp_path: Path
) -> None:
    certificates.issue(tmp_path)
    strange = {"tls_certificate": tmp_path / "jobs.crt", "tls_key": tmp_path / "jobs.key", "tls_ca": certified("jobs").tls_ca}
    bare = settings.model_copy(update={"tls_ca": certified("jobs").tls_ca})
    async with serve_shop(new_shop(), certified("catalog"), issuer) as server:
        for stranger in (settings, bare, settings.model_copy(update=strange)):
            async with connect_stub(server, stranger) as stub:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await stub.GetProduct(MUG)
                assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_valid_certificates_are_not_replaced(tmp_path: Path) -> None:
    certificates.issue(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "jobs.crt").unlink()
    certificates.issue(tmp_path)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"jobs.crt", "jobs.key"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.glob("*.key"))
