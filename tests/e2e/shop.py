"""Clients of a running stack by REST and by gRPC, with a user of each role."""

import json
import sys
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import grpc
import httpx
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from tests.e2e.stack import Stack
from tests.gateway.corpus import Binding

PASSWORD = "correct horse battery"
DEADLINE_SECONDS = 20

Json = dict[str, Any]


class Outcome(NamedTuple):
    """The outcome of a call, in a form that REST and gRPC share."""

    response: Json | None
    error: tuple[int, str, str, list[str]] | None
    """Status code, reason, message and invalid fields."""


class Shop:
    """Makes the same calls by REST and by gRPC."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.http = httpx.Client(base_url=stack.rest, timeout=DEADLINE_SECONDS)
        self._channels = {
            name: grpc.insecure_channel(f"127.0.0.1:{stack.environment[f'{name.upper()}_PORT']}")
            for name in ("auth", "catalog", "recommender", "forecaster", "jobs")
        }

    def close(self) -> None:
        self.http.close()
        for channel in self._channels.values():
            channel.close()

    @cached_property
    def tokens(self) -> dict[str, str]:
        """An access token of each role; that of `nobody` is empty."""
        create_admin = [sys.executable, "-m", "services.auth.admin", "create-admin", "--email", "admin@example.com"]
        created = self._stack.run("run", "auth", *create_admin, text=f"{PASSWORD}\n")
        assert created.returncode == 0, created.stderr
        admin = self._sign_in("admin@example.com")
        for role in ("customer", "staff"):
            user = self.http.post("/users", json={"email": f"{role}@example.com", "password": PASSWORD}).json()
            changed = self.http.patch(f"/users/{user['id']}", json={"role": role}, headers={"authorization": f"Bearer {admin}"})
            assert changed.status_code == 200, changed.text
        tokens = {role: self._sign_in(f"{role}@example.com") for role in ("customer", "staff")}
        return {"nobody": "", **tokens, "admin": admin}

    def _sign_in(self, email: str) -> str:
        response = self.http.post("/auth/token", data={"grant_type": "password", "username": email, "password": PASSWORD})
        token: str = response.json()["access_token"]
        return token

    def by_rest(self, binding: Binding, role: str, *requests: Message) -> Outcome:
        """Makes a call by REST; several requests become the lines of a body."""
        path, query, body = _http_request(binding, requests)
        url = f"{path}?{urlencode(query, quote_via=quote)}" if query else path
        response = self.http.request(binding.http_method, url, content=body, headers=self._headers(role))
        content = response.json()
        if response.status_code < 300:
            return Outcome(_without_nulls(content), None)
        details = {detail["@type"].rpartition(".")[2]: detail for detail in content["details"]}
        fields = [violation["field"] for violation in details.get("BadRequest", {}).get("field_violations", [])]
        return Outcome(None, (content["code"], details["ErrorInfo"]["reason"], content["message"], fields))

    def by_grpc(self, binding: Binding, role: str, *requests: Message) -> Outcome:
        """Makes a call by gRPC; several requests become a stream."""
        method = binding.method
        service = method.containing_service
        kind = "stream_unary" if method.client_streaming else "unary_unary"
        call = getattr(self._channels[service_name(method)], kind)(
            f"/{service.full_name}/{method.name}",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        try:
            argument = iter(requests) if method.client_streaming else requests[0]
            message = call(argument, metadata=list(self._headers(role).items()), timeout=DEADLINE_SECONDS)
        except grpc.RpcError as error:
            return Outcome(None, _error(error))
        return Outcome(_as_json(message), None)

    def _headers(self, role: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens[role]}"} if role != "nobody" else {}


def service_name(method: MethodDescriptor) -> str:
    return str(method.containing_service.full_name.split(".")[1])


def _http_request(binding: Binding, requests: tuple[Message, ...]) -> tuple[str, list[tuple[str, str]], bytes | None]:
    """The path, query and body of the REST request for these messages."""
    rest = GetMessageClass(binding.method.input_type)()
    rest.CopyFrom(requests[0])
    path = binding.path
    for variable in binding.variables:
        holder: Any = rest
        *outer, last = variable.split(".")
        for name in outer:
            holder = getattr(holder, name)
        path = path.replace(f"{{{variable}}}", quote(str(getattr(holder, last)), safe=""))
        holder.ClearField(last)
    body = None
    if binding.body == "*":
        return path, [], b"\n".join(json.dumps(_as_json(request)).encode() for request in requests)
    if binding.body and isinstance(content := getattr(requests[0], binding.body), bytes):
        body = content
        rest.ClearField(binding.body)
    elif binding.body:
        body = b"\n".join(json.dumps(_as_json(getattr(request, binding.body))).encode() for request in requests)
        rest.ClearField(binding.body)
    return path, list(_parameters(rest)), body


def _parameters(message: Message) -> Iterator[tuple[str, str]]:
    """The query parameters for a message, whose fields are scalars, lists of scalars or field masks."""
    for field, value in message.ListFields():
        for each in value if field.is_repeated else [value]:
            if isinstance(each, FieldMask):
                yield field.name, ",".join(each.paths)
            else:
                yield field.name, str(each).lower() if isinstance(each, bool) else str(each)


def _as_json(message: Message) -> Json:
    """A message as REST prints it, without the nulls of unset fields."""
    return json_format.MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _error(error: grpc.RpcError) -> tuple[int, str, str, list[str]]:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # an error of a call is a call
    assert status is not None, error
    info, violations = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(violations)
    return status.code, info.reason, status.message, [violation.field for violation in violations.field_violations]
