"""HTTP requests from the values of a command's options."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from hashiramart_client.cli.options import RequestField
from hashiramart_client.cli.rpcs import HttpBinding, Rpc

# A longer query is sent as a body, if the RPC has a binding for that.
_QUERY_LENGTH = 2000

Values = dict[tuple[str, ...], Any]
"""JSON values by the paths of their fields."""


@dataclass(frozen=True)
class HttpRequest:
    """A request of the REST API."""

    http_method: str
    path: str
    """With the query."""
    body: Any
    """JSON, or bytes that are sent as they are; None for no body."""


def http_request(rpc: Rpc, variables: dict[str, str], values: Values, body: Any) -> HttpRequest:
    """The request of a call.

    variables: what is in the path, by the path of the field
    values: what options give; they win over `body`
    body: JSON that was given as a whole, bytes, or None
    """
    binding = rpc.binding
    request = _bound(binding, variables, values, body)
    if binding.body == "" and len(request.path) > _QUERY_LENGTH:
        for other in rpc.bindings:
            if other.body == "*" and set(other.variables) <= set(variables):
                return _bound(other, variables, values, body)
    return request


def can_send(binding: HttpBinding, field: RequestField) -> bool:
    """Whether a binding has a place for a field: JSON needs the body."""
    return not field.is_json or binding.body == "*" or field.path[0] == binding.body


def _bound(binding: HttpBinding, variables: dict[str, str], values: Values, body: Any) -> HttpRequest:
    path = binding.path
    for name, pattern in binding.variables.items():
        template = f"{{{name}={pattern}}}" if f"{{{name}=" in path else f"{{{name}}}"
        path = path.replace(template, quote(variables[name], safe="/" if "/" in pattern or "**" in pattern else ""))
    query: list[tuple[str, str]] = []
    # Without a body, a PATCH would change nothing and a POST take the defaults.
    content: Any = body if body is not None else {} if binding.body else None
    for names, value in values.items():
        if binding.body == "*":
            _put(content, names, value)
        elif names[0] == binding.body and len(names) > 1:
            _put(content, names[1:], value)
        elif names[0] == binding.body:
            content = value
        else:
            query += [(".".join(names), _query_text(each)) for each in (value if isinstance(value, list) else [value])]
    return HttpRequest(binding.http_method, f"{path}?{urlencode(query)}" if query else path, content)


def _put(content: dict[str, Any], names: tuple[str, ...], value: Any) -> None:
    *outer, last = names
    for name in outer:
        content = content.setdefault(name, {})
    content[last] = value


def _query_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
