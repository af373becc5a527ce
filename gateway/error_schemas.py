"""Errors in the OpenAPI document: their schemas, and the responses of each RPC with the reasons that the contract states."""

import re
from collections.abc import Iterable, Iterator, Mapping

import grpc
import orjson

from gateway import errors, oauth
from gateway.components import Components, reference
from gateway.contract import OUR_PACKAGES, Binding, Contract, Method
from gateway.rules import Json
from hashiramart.access.v1 import access_pb2

_TYPE = "type.googleapis.com/google.rpc."
_COMMON = "hashiramart.access.v1"
# The codes that any RPC may end with, whether its comment says so or not.
_ANY = {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED"}
# Reasons that no call of an RPC has, and those that only a call with a body has.
_OF_OTHER_PATHS = {"PATH_NOT_FOUND", "METHOD_NOT_ALLOWED"}
_OF_BODIES = {"REQUEST_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE"}
_OF_STREAMS = {"TOO_MANY_STREAMS"}
_CODE = re.compile(r"\b(" + "|".join(code.name for code in grpc.StatusCode) + r")\b")
_REASON_CODE = re.compile(r"\b([A-Z_]+): ")
_QUOTED = re.compile(r"`([A-Z][A-Z_]+)`")
_VIOLATION: Json = {
    "type": "object",
    "required": ["field", "description", "reason", "localized_message"],
    "properties": {
        "field": {"type": "string", "description": "The path of the field."},
        "description": {"type": "string"},
        "reason": {"type": "string"},
        "localized_message": {"type": ["object", "null"]},
    },
}


class ErrorSchemas:
    """The errors of a contract. Their schemas are among the components: one for each set of reasons that a response may have."""

    def __init__(self, contract: Contract, comments: Mapping[str, str], components: Components) -> None:
        self._comments = comments
        self._components = components
        self._reasons = {name: comment for file in contract.files.file for name, comment in self._package_reasons(file.package, contract)}
        self._named: dict[tuple[str, ...], Json] = {}
        self._add_common()

    def responses(self, binding: Binding) -> Json:
        """The error responses of a binding by HTTP status, `default` for all others."""
        is_token = binding.method.full_name == oauth.TOKEN_RPC
        by_status: dict[int, list[str]] = {}
        for code, reason in self._errors(binding):
            http_status, value = _oauth_error(code, reason) if is_token else (errors.http_status(code, reason), reason)
            values = by_status.setdefault(http_status, [])
            values += [value] if value not in values else []
        described = {str(status): self._response(binding, str(status), values) for status, values in sorted(by_status.items())}
        others = oauth.ERROR_CODES if is_token else dict.fromkeys(name.rpartition(".")[2] for name, _ in self._of(binding))
        return described | {"default": self._response(binding, "", list(others))}

    def _add_common(self) -> None:
        names = list(dict.fromkeys(name.rpartition(".")[2] for name in self._reasons))
        self._components.add("ErrorReason", _enum(names) | {"description": "Why a call failed, as a stable name for programs."})
        self._components.add("ErrorInfo", _info(reference("ErrorReason")))
        violations = {"field_violations": {"type": "array", "items": _VIOLATION}}
        self._components.add("BadRequest", _detail("BadRequest", "Each invalid field of the request.", violations))
        delay = {"retry_delay": {"type": ["string", "null"], "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$"}}
        self._components.add("RetryInfo", _detail("RetryInfo", "The delay after which to try again.", delay))
        request = {"request_id": {"type": "string"}, "serving_data": {"type": "string"}}
        self._components.add("RequestInfo", _detail("RequestInfo", "The id under which an internal error was logged.", request))
        self._components.add("Status", _status(reference("ErrorInfo")))

    def _response(self, binding: Binding, http_status: str, values: list[str]) -> Json:
        """The response with one of these values: reasons of a status or, from the token endpoint, codes of OAuth.

        Its schema is called by its service and its HTTP status, `CatalogError404`, or `Error404` if all services have its reasons.
        """
        is_token = binding.method.full_name == oauth.TOKEN_RPC
        key = ("OAuth" if is_token else "", http_status, *values)
        if key not in self._named:
            is_common = all(f"{_COMMON}.ErrorReason.{value}" in self._reasons for value in values)
            owner = "OAuth" if is_token else "" if is_common else binding.method.service.name.removesuffix("Service")
            name = f"{owner}Error{http_status}"
            if name in self._components.schemas:
                name = f"{binding.method.service.name.removesuffix('Service')}{binding.method.descriptor.name}Error{http_status}"
            self._named[key] = self._components.add(name, _oauth_status(values) if is_token else _status(_info(_enum(values))))
        description = ", ".join(f"`{value}`" for value in values) if http_status else "The call failed otherwise."
        return {"description": description, "content": {"application/json": {"schema": self._named[key]}}}

    def _package_reasons(self, package: str, contract: Contract) -> Iterator[tuple[str, str]]:
        for file in contract.files.file:
            if file.package != package or not package.startswith(OUR_PACKAGES):
                continue
            for enum in file.enum_type:
                for value in enum.value if enum.name == "ErrorReason" else ():
                    if value.number:
                        name = f"{package}.ErrorReason.{value.name}"
                        yield name, self._comments.get(name, "")

    def _errors(self, binding: Binding) -> Iterator[tuple[grpc.StatusCode, str]]:
        """The codes that the contract states for an RPC, each with its reasons."""
        is_stream = binding.method.client_streaming or binding.method.server_streaming
        other = _OF_OTHER_PATHS | (set() if binding.body else _OF_BODIES) | (set() if is_stream else _OF_STREAMS)
        codes = self._codes(binding.method)
        for name, comment in self._of(binding):
            reason = name.rpartition(".")[2]
            for code in sorted(codes & set(_REASON_CODE.findall(comment))) if reason not in other else ():
                yield grpc.StatusCode[code], reason

    def _of(self, binding: Binding) -> Iterator[tuple[str, str]]:
        """The reasons with which an RPC may end, with their comments: the common ones, its packages', and those that its comment names."""
        method = binding.method
        kinds = (method.service, method.descriptor.input_type, method.descriptor.output_type)
        packages = {kind.full_name.rpartition(".")[0] for kind in kinds} | {_COMMON}
        quoted = set(_QUOTED.findall(self._comment(method)))
        for name, comment in self._reasons.items():
            package, _, reason = name.replace(".ErrorReason.", "/").partition("/")
            if package in packages or reason in quoted:
                yield name, comment

    def _codes(self, method: Method) -> set[str]:
        access = method.options.options.Extensions[access_pb2.access]
        signed_in: set[str] = set() if access == access_pb2.ACCESS_PUBLIC else {"UNAUTHENTICATED"}
        restricted: set[str] = set() if access in (access_pb2.ACCESS_PUBLIC, access_pb2.ACCESS_SHOPPER) else {"PERMISSION_DENIED"}
        return _ANY | signed_in | restricted | set(_CODE.findall(self._comment(method)))

    def _comment(self, method: Method) -> str:
        return self._comments.get(method.descriptor.full_name, "")


def _status(info: Json) -> Json:
    """The schema of a status, whose details may have this schema of its reason."""
    details = {"type": "array", "items": {"oneOf": [info, *map(reference, ("BadRequest", "RetryInfo", "RequestInfo"))]}}
    return {
        "type": "object",
        "description": "Why a call failed.",
        "required": ["code", "message", "details"],
        "properties": {
            "code": {"type": "integer", "minimum": 0, "maximum": 16, "description": "The gRPC status code."},
            "message": {"type": "string", "description": "A message for people."},
            "details": details,
        },
    }


def _oauth_status(codes: Iterable[str]) -> Json:
    """The schema of an error in OAuth's terms with one of these codes."""
    return {
        "type": "object",
        "description": "Why no token was issued (RFC 6749, section 5.2).",
        "required": ["error", "error_description"],
        "properties": {"error": _enum(codes), "error_description": {"type": "string"}},
    }


def _oauth_error(code: grpc.StatusCode, reason: str) -> tuple[int, str]:
    """The HTTP status of an error at the token endpoint, and OAuth's code for it."""
    response = oauth.error_response(errors.error_status(code, reason, ""))
    return response.status, orjson.loads(response.body)["error"]


def _info(reason: Json) -> Json:
    """The schema of the detail that has an error's reason."""
    return _detail("ErrorInfo", "The reason of an error.", {
        "reason": reason,
        "domain": {"type": "string"},
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
    })  # fmt: skip


def _enum(values: Iterable[str]) -> Json:
    return {"type": "string", "enum": list(values)}


def _detail(name: str, description: str, properties: Json) -> Json:
    """The schema of one type of error details."""
    properties = {"@type": {"type": "string", "const": _TYPE + name}} | properties
    return {"type": "object", "description": description, "required": list(properties), "properties": properties}
