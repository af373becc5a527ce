"""A contract with every shape of binding and message, and a service for it that echoes requests."""

import asyncio
import sysconfig
from collections.abc import AsyncIterator
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_status import rpc_status
from grpc_tools import protoc

from gateway.contract import Contract
from gateway.settings import ROOT

PACKAGE = "hashiramart.catalog.everything.v1"


def compiled(source: Path, folder: Path) -> FileDescriptorSet:
    """The descriptors of a contract and of all that it imports."""
    target = folder / f"{source.stem}.binpb"
    includes = [source.parent, sysconfig.get_path("purelib"), files("grpc_tools") / "_proto", ROOT / "proto"]
    options = [f"--descriptor_set_out={target}", "--include_imports", "--include_source_info"]
    assert protoc.main(["protoc", *(f"-I{path}" for path in includes), *options, source.name]) == 0
    return FileDescriptorSet.FromString(target.read_bytes())


def descriptors(folder: Path) -> bytes:
    """The descriptors of our contracts and of this one."""
    shop = FileDescriptorSet.FromString((ROOT / "gen" / "descriptors.binpb").read_bytes())
    known = {file.name for file in shop.file}
    everything = compiled(Path(__file__).with_name("everything.proto"), folder)
    shop.file.extend(file for file in everything.file if file.name not in known)
    return shop.SerializeToString()


class EverythingServer:
    """Serves it, and records the requests and their metadata."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self.metadata: dict[str, str | bytes] = {}
        self.requests: list[Message] = []
        self.seconds_left: float | None = None
        self.cancelled = asyncio.Event()
        self._server = grpc.aio.server()
        token: Any = grpc.unary_unary_rpc_method_handler(self._issue_token)
        current_user: Any = grpc.unary_unary_rpc_method_handler(self._current_user)
        health: Any = grpc.unary_unary_rpc_method_handler(self._check)
        listing: Any = grpc.unary_unary_rpc_method_handler(self._list_health)
        for service, handlers in (
            (f"{PACKAGE}.EverythingService", self._handlers()),
            ("hashiramart.auth.v1.AuthService", {"IssueToken": token, "GetCurrentUser": current_user}),
            ("grpc.health.v1.Health", {"Check": health, "List": listing}),
        ):
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        self.port = self._server.add_insecure_port("127.0.0.1:0")

    async def start(self) -> None:
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(None)

    def message(self, name: str) -> Any:
        full_name = name if "." in name else f"{PACKAGE}.{name}"
        return GetMessageClass(self._contract.pool.FindMessageTypeByName(full_name))

    def _handlers(self) -> dict[str, Any]:
        unary: dict[str, Any] = dict.fromkeys(
            ("Get", "Post", "Undo", "Replace", "Update", "Store", "Guard"), partial(self._echo, "Everything")
        )
        unary |= {"GetSpecial": self._special, "GetInner": partial(self._echo, "Inner"), "CreateInner": self._create}
        unary |= {"Remove": self._remove, "Fail": self._fail, "Wait": self._wait}
        streams = {"Import": partial(self._import, "ImportRequest"), "ImportStrictly": partial(self._import, "Inner")}
        return {
            **{name: grpc.unary_unary_rpc_method_handler(handler) for name, handler in unary.items()},
            **{name: grpc.stream_unary_rpc_method_handler(handler) for name, handler in streams.items()},
            "Watch": grpc.unary_stream_rpc_method_handler(self._watch),
        }

    def _record(self, kind: str, raw: bytes, context: Any) -> Any:
        request = self.message(kind).FromString(raw)
        self.metadata = dict(context.invocation_metadata())
        self.requests.append(request)
        self.seconds_left = context.time_remaining()
        return request

    async def _echo(self, kind: str, raw: bytes, context: Any) -> bytes:
        self._record(kind, raw, context)
        return raw

    async def _special(self, raw: bytes, context: Any) -> bytes:
        special: bytes = self.message("Inner")(text="special").SerializeToString()
        return special

    async def _create(self, raw: bytes, context: Any) -> bytes:
        inner: bytes = self._record("CreateInnerRequest", raw, context).inner.SerializeToString()
        return inner

    async def _remove(self, raw: bytes, context: Any) -> bytes:
        return b""

    async def _fail(self, raw: bytes, context: Any) -> bytes:
        name = self._record("Everything", raw, context).text
        code = grpc.StatusCode[name.removeprefix("BARE_")]
        if name.startswith("BARE_"):
            await context.abort(code, "10.0.0.7:5432 said no")
        return await _abort(context, code, f"REASON_{name}")

    async def _wait(self, raw: bytes, context: Any) -> bytes:
        """Waits for the number of seconds in the text."""
        request = self._record("Everything", raw, context)
        try:
            await asyncio.sleep(float(request.text))
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return raw

    async def _watch(self, raw: bytes, context: Any) -> AsyncIterator[bytes]:
        """Sends two messages, then ends as the text says: at once, with an error, or never."""
        what = self._record("Everything", raw, context).text
        if what == "forbidden":
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not for you")
        for number in (1, 2):
            yield self.message("Inner")(text=what, small=number).SerializeToString()
        if what == "broken":
            await context.abort(grpc.StatusCode.ABORTED, "it broke")
        if what == "silent":
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                self.cancelled.set()
                raise

    async def _import(self, kind: str, rows: AsyncIterator[bytes], context: Any) -> bytes:
        """Counts rows. Fails early at a row that says `enough`, and before the first for the caller `nobody`."""
        if dict(context.invocation_metadata()).get("authorization") == "nobody":
            return await _abort(context, grpc.StatusCode.PERMISSION_DENIED, "NOBODY")
        response = self.message("ImportResponse")()
        self.requests.clear()
        async for raw in rows:
            row = self.message(kind).FromString(raw)
            response.row_count += 1
            if kind == "ImportRequest" and row.WhichOneof("row") == "unreadable":
                response.problems.append(f"{response.row_count}: {row.unreadable.message}")
                continue
            inner = row.inner if kind == "ImportRequest" else row
            if inner.text == "enough":
                return await _abort(context, grpc.StatusCode.OUT_OF_RANGE, "ENOUGH")
            if response.row_count == 1:
                response.texts.append(inner.text)
        try:
            # A cancelled stream ends like any other; the cancellation follows a moment later.
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        serialized: bytes = response.SerializeToString()
        return serialized

    async def _issue_token(self, raw: bytes, context: Any) -> bytes:
        """Fails for the reason that is the user's name."""
        request = self._record("hashiramart.auth.v1.IssueTokenRequest", raw, context)
        if code := _TOKEN_ERRORS.get(request.username):
            return await _abort(context, code, request.username)
        serialized: bytes = self.message("hashiramart.auth.v1.Token")(access_token="a", token_type="Bearer").SerializeToString()
        return serialized

    async def _current_user(self, raw: bytes, context: Any) -> bytes:
        """Here, a token is the name of a role."""
        authorization = dict(context.invocation_metadata()).get("authorization")
        if not authorization:
            return await _abort(context, grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")
        user = self.message("hashiramart.auth.v1.User")()
        user.role = user.DESCRIPTOR.fields_by_name["role"].enum_type.values_by_name[f"ROLE_{authorization[7:].upper()}"].number
        serialized: bytes = user.SerializeToString()
        return serialized

    async def _check(self, raw: bytes, context: Any) -> bytes:
        context.set_trailing_metadata((("x-service-version", "1.2.3"),))
        return HealthCheckResponse(status=HealthCheckResponse.SERVING).SerializeToString()

    async def _list_health(self, raw: bytes, context: Any) -> bytes:
        up, down = (HealthCheckResponse(status=status) for status in (HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING))
        statuses = {"": up, "engine/postgresql": up, "engine/hdfs": down}
        serialized: bytes = health_pb2.HealthListResponse(statuses=statuses).SerializeToString()  # type: ignore[attr-defined]  # missing in the types
        return serialized


_TOKEN_ERRORS = {
    "INVALID_GRANT": grpc.StatusCode.UNAUTHENTICATED,
    "SECOND_FACTOR_REQUIRED": grpc.StatusCode.UNAUTHENTICATED,
    "INVALID_SECOND_FACTOR": grpc.StatusCode.UNAUTHENTICATED,
    "INVALID_CLIENT": grpc.StatusCode.UNAUTHENTICATED,
    "UNSUPPORTED_GRANT_TYPE": grpc.StatusCode.INVALID_ARGUMENT,
    "INVALID_REQUEST": grpc.StatusCode.INVALID_ARGUMENT,
    "TOO_MANY_SIGN_INS": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "DATABASE_UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
}


async def _abort(context: Any, code: grpc.StatusCode, reason: str) -> bytes:
    status = Status(code=code.value[0], message='the "service" says no')
    status.details.add().Pack(ErrorInfo(reason=reason, domain="hashiramart"))
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED):
        retry = RetryInfo()
        retry.retry_delay.FromMilliseconds(1500)
        status.details.add().Pack(retry)
    await context.abort_with_status(rpc_status.to_status(status))
    raise AssertionError
