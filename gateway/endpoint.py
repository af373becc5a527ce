"""A binding made ready to serve: HTTP's request to the RPC's, the RPC's answer to HTTP's."""

from typing import Any
from urllib.parse import quote

import grpc
import orjson
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.rpc.status_pb2 import Status

from gateway import errors, oauth
from gateway.contract import Binding, Contract, Method
from gateway.errors import Answer, Headers
from gateway.parameters import Query, path_filler
from gateway.reader import Malformed, decoded, decoded_line, field_filler, filler, mask_paths, text
from gateway.writer import encoder, writer

JSON: Headers = [(b"content-type", b"application/json")]

STATUS = "google.rpc.Status"


class Endpoint:
    """What one binding makes of requests and answers."""

    def __init__(self, binding: Binding, contract: Contract, channel: grpc.aio.Channel) -> None:
        method, request, answer = binding.method, binding.method.descriptor.input_type, binding.method.descriptor.output_type
        fields = request.fields_by_name
        self.binding = binding
        self.takes_stream = method.client_streaming
        self.answers_stream = method.server_streaming
        self.rpc = _rpc(method, channel)
        self.is_token = method.full_name == oauth.TOKEN_RPC
        self.service = method.service.full_name.split(".")[1]
        self._new = GetMessageClass(request)
        self._fill_path = path_filler(binding)
        # A body that is the whole request leaves nothing to the query.
        self._query = None if binding.body == "*" else Query(request, _taken(binding))
        self._form = Query(request) if self.is_token else None
        self._body = field_filler(fields[binding.body]) if binding.body in fields else filler(request) if binding.body else None
        self._has_request_id = "request_id" in fields and fields["request_id"].type == FieldDescriptor.TYPE_STRING
        self._status_field = next(
            (f.name for f in request.fields if f.message_type and f.message_type.full_name == "google.rpc.Status"), None
        )
        self.encode = encoder(answer)
        self._parse, self._write = GetMessageClass(answer).FromString, writer(answer)
        self._location = contract.location(method)

    def request(self, segments: list[str], query: str, body: bytes, idempotency_key: str) -> bytes:
        """The RPC's request. Raises Malformed for what cannot be read."""
        request = self._new()
        value = None
        if self._body:
            value = decoded(body)
            self._fill_body(request, value)
        self._fill_rest(request, segments, query, idempotency_key)
        if (mask := self.binding.mask_field) and value and not (update_mask := getattr(request, mask)).paths:
            update_mask.paths.extend(self._mask_paths(value))
        return request.SerializeToString()

    def token_request(self, body: bytes, is_form: bool, authorization: str) -> bytes:
        """The RPC's request for a token, from a form or from JSON."""
        request = self._new()
        if is_form and self._form:
            self._form.fill(request, body.decode("latin-1"))
        else:
            self._fill_body(request, decoded(body))
        oauth.fill_client(request, authorization)
        return request.SerializeToString()

    def request_from_line(self, segments: list[str], query: str, line: bytes | Malformed) -> bytes:
        """One request of a stream. A line that cannot be read becomes the status that says so, where the request has a place for one."""
        request = self._new()
        try:
            if isinstance(line, Malformed):
                raise line
            self._fill_body(request, decoded_line(line))
        except Malformed as problem:
            if not self._status_field:
                raise
            request = self._new()
            getattr(request, self._status_field).MergeFromString(errors.malformed(problem).SerializeToString())
        self._fill_rest(request, segments, query, "")
        return request.SerializeToString()

    def answer(self, raw: bytes) -> Answer:
        """The RPC's answer."""
        headers = [*JSON, *oauth.NO_STORE] if self.is_token else JSON
        if not self.binding.method.creates:
            return Answer(200, headers, self.encode(raw))
        message = self._parse(raw)
        if self._location:
            headers = [*headers, (b"location", _path_of(message, self._location))]
        return Answer(201, headers, orjson.dumps(self._write(message)))

    def refusal(self, status: Status) -> Answer:
        return oauth.refusal(status) if self.is_token else errors.answer(status)

    def _fill_body(self, request: Any, value: Any) -> None:
        if self._body is None:
            return
        if value is None:
            raise Malformed("expected an object")
        try:
            self._body(request, value, 0)
        except Malformed as problem:
            raise (problem if self.binding.body == "*" else problem.inside(self.binding.body)) from None

    def _mask_paths(self, value: Any) -> list[str]:
        changed = self.binding.method.descriptor.input_type.fields_by_name[self.binding.body].message_type
        try:
            return mask_paths(value, changed) if changed else []
        except Malformed as problem:
            raise problem.inside(self.binding.body) from None

    def _fill_rest(self, request: Any, segments: list[str], query: str, idempotency_key: str) -> None:
        if query and self._query:
            self._query.fill(request, query)
        if idempotency_key and self._has_request_id and not request.request_id:
            request.request_id = text(idempotency_key)
        self._fill_path(request, segments)


def _rpc(method: Method, channel: grpc.aio.Channel) -> Any:
    """The call itself, from bytes to bytes: one kind of callable for each kind of RPC."""
    if method.server_streaming:
        return channel.unary_stream(method.full_name)
    return channel.stream_unary(method.full_name) if method.client_streaming else channel.unary_unary(method.full_name)


def _taken(binding: Binding) -> frozenset[str]:
    """What the path and the body fill, and the query therefore cannot."""
    return frozenset({binding.body, *(variable.field_path for variable in binding.template.variables)} - {""})


def _path_of(message: Any, binding: Binding) -> bytes:
    """The path under which a message can be read again."""
    (variable,) = binding.template.variables
    segments = list(binding.template.segments)
    segments[variable.start : variable.end] = [quote(str(getattr(message, variable.field_path)), safe="")]
    return "/".join(["", *segments]).encode()
