"""Errors in the OpenAPI document: their schemas, and the responses of each RPC with the reasons that the contract states."""

import re
from collections.abc import Iterator, Mapping

import grpc

from gateway import errors, oauth
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
    """The errors of a contract."""

    def __init__(self, contract: Contract, comments: Mapping[str, str]) -> None:
        self._comments = comments
        self._reasons = {name: comment for file in contract.files.file for name, comment in self._package_reasons(file.package, contract)}

    def components(self) -> Json:
        """The schemas of errors, by name."""
        names = list(dict.fromkeys(name.rpartition(".")[2] for name in self._reasons))
        details = ("ErrorInfo", "BadRequest", "RetryInfo")
        union = {"oneOf": [_reference(name) for name in details], "discriminator": {
            "propertyName": "@type", "mapping": {_TYPE + name: f"#/components/schemas/{name}" for name in details},
        }}  # fmt: skip
        return {
            "ErrorReason": {"type": "string", "description": "Why a call failed, as a stable name for programs.", "enum": names},
            "ErrorInfo": _detail("ErrorInfo", "The reason of an error.", {
                "reason": _reference("ErrorReason"),
                "domain": {"type": "string"},
                "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
            }),
            "BadRequest": _detail(
                "BadRequest", "Each invalid field of the request.", {"field_violations": {"type": "array", "items": _VIOLATION}}
            ),
            "RetryInfo": _detail("RetryInfo", "The delay after which to try again.", {
                "retry_delay": {"type": ["string", "null"], "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$"},
            }),
            "Status": {
                "type": "object",
                "description": "Why a call failed.",
                "required": ["code", "message", "details"],
                "properties": {
                    "code": {"type": "integer", "minimum": 0, "maximum": 16, "description": "The gRPC status code."},
                    "message": {"type": "string", "description": "A message for people."},
                    "details": {"type": "array", "items": union},
                },
            },
            "OAuthError": {
                "type": "object",
                "description": "Why no token was issued (RFC 6749, section 5.2).",
                "required": ["error", "error_description"],
                "properties": {"error": {"type": "string", "enum": list(oauth.ERROR_CODES)}, "error_description": {"type": "string"}},
            },
        }  # fmt: skip

    def responses(self, binding: Binding) -> Json:
        """The error responses of a binding by HTTP status, `default` for all others."""
        method = binding.method
        schema = "OAuthError" if method.full_name == oauth.TOKEN_RPC else "Status"
        by_status: dict[int, list[str]] = {}
        for name, comment in self._of(binding):
            for code in sorted(self._codes(method) & set(_REASON_CODE.findall(comment))):
                reason = name.rpartition(".")[2]
                reasons = by_status.setdefault(errors.http_status(grpc.StatusCode[code], reason), [])
                reasons += [reason] if reason not in reasons else []
        described = {
            str(status): _response(", ".join(f"`{reason}`" for reason in by_status[status]), schema) for status in sorted(by_status)
        }
        return described | {"default": _response("The call failed.", schema)}

    def _package_reasons(self, package: str, contract: Contract) -> Iterator[tuple[str, str]]:
        for file in contract.files.file:
            if file.package != package or not package.startswith(OUR_PACKAGES):
                continue
            for enum in file.enum_type:
                for value in enum.value if enum.name == "ErrorReason" else ():
                    if value.number:
                        name = f"{package}.ErrorReason.{value.name}"
                        yield name, self._comments.get(name, "")

    def _of(self, binding: Binding) -> Iterator[tuple[str, str]]:
        """The reasons with which an RPC may end, with their comments: the common ones, its packages', and those that its comment names."""
        method = binding.method
        other = _OF_OTHER_PATHS if binding.body else _OF_OTHER_PATHS | _OF_BODIES
        kinds = (method.service, method.descriptor.input_type, method.descriptor.output_type)
        packages = {kind.full_name.rpartition(".")[0] for kind in kinds} | {_COMMON}
        quoted = set(_QUOTED.findall(self._comment(method)))
        for name, comment in self._reasons.items():
            package, _, reason = name.replace(".ErrorReason.", "/").partition("/")
            if (package in packages or reason in quoted) and reason not in other:
                yield name, comment

    def _codes(self, method: Method) -> set[str]:
        access = method.options.options.Extensions[access_pb2.access]
        signed_in: set[str] = set() if access == access_pb2.ACCESS_PUBLIC else {"UNAUTHENTICATED"}
        restricted: set[str] = set() if access in (access_pb2.ACCESS_PUBLIC, access_pb2.ACCESS_USER) else {"PERMISSION_DENIED"}
        return _ANY | signed_in | restricted | set(_CODE.findall(self._comment(method)))

    def _comment(self, method: Method) -> str:
        return self._comments.get(method.descriptor.full_name, "")


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _response(description: str, schema: str) -> Json:
    return {"description": description, "content": {"application/json": {"schema": _reference(schema)}}}


def _detail(name: str, description: str, properties: Json) -> Json:
    """The schema of one type of error details."""
    properties = {"@type": {"type": "string", "const": _TYPE + name}} | properties
    return {"type": "object", "description": description, "required": list(properties), "properties": properties}
