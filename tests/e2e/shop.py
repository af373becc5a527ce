"""A shop on a running stack, with somebody of each role, reached by REST and by gRPC."""

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
    """What came of a call, in words that REST and gRPC share: an answer, or a code with its reason, its text and the fields at fault."""

    answer: Json | None
    refusal: tuple[int, str, str, list[str]] | None


class Shop:
    """Makes the same call in both ways."""

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
        """An access token of each role; nobody has none."""
        create_admin = [sys.executable, "-m", "services.auth.admin", "create-admin", "--email", "admin@example.com"]
        made = self._stack.run("run", "auth", *create_admin, text=f"{PASSWORD}\n")
        assert made.returncode == 0, made.stderr
        admin = self._sign_in("admin@example.com")
        for role in ("customer", "staff"):
            user = self.http.post("/users", json={"email": f"{role}@example.com", "password": PASSWORD}).json()
            changed = self.http.patch(f"/users/{user['id']}", json={"role": role}, headers={"authorization": f"Bearer {admin}"})
            assert changed.status_code == 200, changed.text
        own = {role: self._sign_in(f"{role}@example.com") for role in ("customer", "staff")}
        return {"nobody": "", **own, "admin": admin}

    def _sign_in(self, email: str) -> str:
        answer = self.http.post("/auth/token", data={"grant_type": "password", "username": email, "password": PASSWORD})
        token: str = answer.json()["access_token"]
        return token

    def by_rest(self, binding: Binding, role: str, *requests: Message) -> Outcome:
        """Several requests are the lines of a body."""
        path, query, body = http_request(binding, requests)
        url = f"{path}?{urlencode(query, quote_via=quote)}" if query else path
        answer = self.http.request(binding.http_method, url, content=body, headers=self._headers(role))
        content = answer.json()
        if answer.status_code < 300:
            return Outcome(without_nulls(content), None)
        details = {detail["@type"].rpartition(".")[2]: detail for detail in content["details"]}
        fields = [violation["field"] for violation in details.get("BadRequest", {}).get("field_violations", [])]
        return Outcome(None, (content["code"], details["ErrorInfo"]["reason"], content["message"], fields))

    def by_grpc(self, binding: Binding, role: str, *requests: Message) -> Outcome:
        method = binding.method
        service = method.containing_service
        kind = "stream_unary" if method.client_streaming else "unary_unary"
        call = getattr(self._channels[service_name(method)], kind)(
            f"/{service.full_name}/{method.name}",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        try:
            sent = iter(requests) if method.client_streaming else requests[0]
            message = call(sent, metadata=list(self._headers(role).items()), timeout=DEADLINE_SECONDS)
        except grpc.RpcError as error:
            return Outcome(None, refused(error))
        return Outcome(as_json(message), None)

    def _headers(self, role: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens[role]}"} if role != "nobody" else {}


def service_name(method: MethodDescriptor) -> str:
    return str(method.containing_service.full_name.split(".")[1])


def http_request(binding: Binding, requests: tuple[Message, ...]) -> tuple[str, list[tuple[str, str]], bytes | None]:
    """The path, the query and the body by which REST says what these messages say."""
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
        return path, [], b"\n".join(json.dumps(as_json(request)).encode() for request in requests)
    if binding.body:
        body = b"\n".join(json.dumps(as_json(getattr(request, binding.body))).encode() for request in requests)
        rest.ClearField(binding.body)
    return path, list(parameters(rest)), body


def parameters(message: Message) -> Iterator[tuple[str, str]]:
    """What a query says of a message's fields, all of which are plain in our contracts, or masks."""
    for field, value in message.ListFields():
        for each in value if field.is_repeated else [value]:
            if isinstance(each, FieldMask):
                yield field.name, ",".join(each.paths)
            else:
                yield field.name, str(each).lower() if isinstance(each, bool) else str(each)


def as_json(message: Message) -> Json:
    """As REST prints it, but for the nulls of what is unset."""
    return json_format.MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def refused(error: grpc.RpcError) -> tuple[int, str, str, list[str]]:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # an error of a call is a call
    assert status is not None, error
    info, violations = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(violations)
    return status.code, info.reason, status.message, [violation.field for violation in violations.field_violations]
