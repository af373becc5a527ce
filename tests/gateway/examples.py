"""The examples of the OpenAPI document as requests."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode


class Example(NamedTuple):
    """The request of an operation's examples."""

    http_method: str
    path: str
    """As the document has it, with its variables."""
    target: str
    """The path and the query."""
    body: bytes | None
    content_type: str

    @property
    def name(self) -> str:
        return f"{self.http_method} {self.path}"

    @property
    def is_read(self) -> bool:
        return self.http_method == "GET" or self.path.endswith((":query", ":batchGet"))


def examples(document: dict[str, Any]) -> Iterator[Example]:
    """The example of every operation but the gateway's own."""
    for path, item in document["paths"].items():
        for http_method, operation in item.items():
            if operation["tags"] == ["Gateway"]:
                continue
            target, query = path, []
            for parameter in operation["parameters"]:
                if parameter["in"] == "path":
                    target = target.replace(f"{{{parameter['name']}}}", quote(parameter["example"], safe=""))
                elif parameter["in"] == "query" and "example" in parameter:
                    query.append((parameter["name"], parameter["example"]))
            content_type, body = _body(operation)
            yield Example(http_method.upper(), path, f"{target}?{urlencode(query, doseq=True)}" if query else target, body, content_type)


def _body(operation: dict[str, Any]) -> tuple[str, bytes | None]:
    if "requestBody" not in operation:
        return "", None
    content_type, media = next(iter(operation["requestBody"]["content"].items()))
    rows = media["example"] if content_type == "application/x-ndjson" else [media["example"]]
    return content_type, "\n".join(map(json.dumps, rows)).encode()
