"""A binding made ready to serve: from HTTP requests to the RPC's, from the RPC's responses to HTTP's."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import grpc
import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.rpc.status_pb2 import Status

from gateway import errors, oauth
from gateway.asgi import JSON_HEADERS, HttpResponse
from gateway.body_limits import max_body
from gateway.contract import Binding, Contract, Method
from gateway.json_parser import parse_json, parse_json_line
from gateway.malformed import MalformedRequest
from gateway.parameters import QueryReader, path_filler
from gateway.reader import field_filler, mask_paths, message_filler
from gateway.scalars import read_text
from gateway.well_known import Filler
from gateway.writer import encoder, writer

_STATUS = "google.rpc.Status"


class Endpoint:
    """Reads the requests and writes the responses of one binding."""

    def __init__(self, binding: Binding, contract: Contract, channel: grpc.aio.Channel) -> None:
        method, request, response = binding.method, binding.method.descriptor.input_type, binding.method.descriptor.output_type
        self.binding = binding
        self.client_streaming = method.client_streaming
        self.server_streaming = method.server_streaming
        self.rpc = _rpc(method, channel)
        self.needs_token = method.needs_token
        self.max_body = max_body(binding) if binding.body else 0
        self.takes_any_type = bool(binding.content_field)
        self.is_token = method.full_name == oauth.TOKEN_RPC
        self.service = method.service.full_name.split(".")[1]
        self.encode = encoder(response)
        self._new_request = GetMessageClass(request)
        self._fill_path = path_filler(binding)
        # A body that is the whole request leaves nothing to the query.
        self._query = None if binding.body == "*" else QueryReader(request, _filled_elsewhere(binding))
        self._form = QueryReader(request) if self.is_token else None
        self._body = _body_filler(binding)
        self._content_field = binding.content_field
        request_id = request.fields_by_name.get("request_id")
        self._has_request_id = request_id is not None and request_id.type == FieldDescriptor.TYPE_STRING
        self._status_field = _status_field(request)
        self._parse, self._write = GetMessageClass(response).FromString, writer(response)
        self._location = contract.location(method)

    def request(self, segments: list[str], query: str, body: bytes, idempotency_key: str) -> bytes:
        """The RPC's request. Raises MalformedRequest."""
        request = self._new_request()
        value = None
        if self._content_field:
            setattr(request, self._content_field, body)
        elif self._body:
            value = parse_json(body)
            self._fill_body(request, value)
        self._fill_rest(request, segments, query, idempotency_key)
        if (mask := self.binding.mask_field) and value and not (update_mask := getattr(request, mask)).paths:
            update_mask.paths.extend(self._mask_paths(value))
        return request.SerializeToString()

    def token_request(self, body: bytes, is_form: bool, authorization: str) -> bytes:
        """The RPC's request for a token, from a form or from JSON. Raises MalformedRequest."""
        request = self._new_request()
        if is_form and self._form:
            self._form.fill(request, body.decode("latin-1"))
        else:
            self._fill_body(request, parse_json(body))
        oauth.fill_client(request, authorization)
        return request.SerializeToString()

    def request_from_line(self, segments: list[str], query: str, line: bytes | MalformedRequest) -> bytes:
        """One request of a stream. A line that cannot be read becomes a status in the request if that has a field for one.

        Raises MalformedRequest if it has none.
        """
        request = self._new_request()
        try:
            if isinstance(line, MalformedRequest):
                raise line
            self._fill_body(request, parse_json_line(line))
        except MalformedRequest as error:
            if not self._status_field:
                raise
            request = self._new_request()
            getattr(request, self._status_field).MergeFromString(errors.malformed_status(error).SerializeToString())
        self._fill_rest(request, segments, query, "")
        return request.SerializeToString()

    def response(self, raw: bytes, prefix: str) -> HttpResponse:
        """The HTTP response for the RPC's response. The prefix is what precedes the paths of the request, and so of the response."""
        headers = [*JSON_HEADERS, *oauth.NO_STORE] if self.is_token else JSON_HEADERS
        if not self.binding.method.creates:
            return HttpResponse(200, headers, self.encode(raw))
        message = self._parse(raw)
        if self._location:
            headers = [*headers, (b"location", prefix.encode() + _resource_path(message, self._location))]
        return HttpResponse(201, headers, orjson.dumps(self._write(message)))

    def error_response(self, status: Status) -> HttpResponse:
        return oauth.error_response(status) if self.is_token else errors.error_response(status)

    def _fill_body(self, request: Any, value: Any) -> None:
        if self._body is None:
            return
        if value is None:
            raise MalformedRequest("expected an object")
        try:
            self._body(request, value, 0)
        except MalformedRequest as error:
            raise (error if self.binding.body == "*" else error.within(self.binding.body)) from None

    def _mask_paths(self, value: Any) -> list[str]:
        changed = self.binding.method.descriptor.input_type.fields_by_name[self.binding.body].message_type
        try:
            return mask_paths(value, changed) if changed else []
        except MalformedRequest as error:
            raise error.within(self.binding.body) from None

    def _fill_rest(self, request: Any, segments: list[str], query: str, idempotency_key: str) -> None:
        if query and self._query:
            self._query.fill(request, query)
        if idempotency_key and self._has_request_id and not request.request_id:
            request.request_id = read_text(idempotency_key)
        self._fill_path(request, segments)


def _rpc(method: Method, channel: grpc.aio.Channel) -> Callable[..., Any]:
    """The RPC itself, from bytes to bytes."""
    if method.server_streaming:
        return channel.unary_stream(method.full_name)
    return channel.stream_unary(method.full_name) if method.client_streaming else channel.unary_unary(method.full_name)


def _body_filler(binding: Binding) -> Filler | None:
    request = binding.method.descriptor.input_type
    if binding.body in request.fields_by_name:
        return field_filler(request.fields_by_name[binding.body])
    return message_filler(request) if binding.body else None


def _filled_elsewhere(binding: Binding) -> frozenset[str]:
    """The fields that the path and the body fill, so that the query cannot."""
    return frozenset({binding.body, *(variable.field_path for variable in binding.template.variables)} - {""})


def _status_field(request: Descriptor) -> str | None:
    """The field of a request that reports what could not be read in its place."""
    return next((field.name for field in request.fields if field.message_type and field.message_type.full_name == _STATUS), None)


def _resource_path(message: Any, binding: Binding) -> bytes:
    """The path under which a resource can be read."""
    (variable,) = binding.template.variables
    segments = list(binding.template.segments)
    segments[variable.start : variable.end] = [quote(str(getattr(message, variable.field_path)), safe="")]
    return "/".join(["", *segments]).encode()
