"""The path templates of HTTP rules (google/api/http.proto)."""

import re
from dataclasses import dataclass

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_LITERAL = r"[A-Za-z0-9._~%-]+"
_PLAIN = rf"(?:\*\*|\*|{_LITERAL})"
_VARIABLE = rf"\{{{_NAME}(?:\.{_NAME})*(?:={_PLAIN}(?:/{_PLAIN})*)?\}}"
_TEMPLATE = re.compile(rf"(?:/(?:{_VARIABLE}|{_PLAIN}))+(?::{_LITERAL})?")
_SEGMENT = re.compile(rf"/({_VARIABLE}|{_PLAIN})")


@dataclass(frozen=True)
class PathVariable:
    """A part of a path that fills a field."""

    field_path: str
    start: int
    """The index of its first segment."""
    end: int | None
    """The index after its last segment; None if it takes all that are left."""


@dataclass(frozen=True)
class PathTemplate:
    """A path as a rule states it."""

    text: str
    segments: tuple[str, ...]
    """Literals, `*` for any one segment, and at the end `**` for all that are left."""
    variables: tuple[PathVariable, ...]
    verb: str
    """What follows the last colon; empty if there is none."""

    @classmethod
    def parse(cls, text: str) -> "PathTemplate":
        """Raises ValueError for what is not a template, or not one that the gateway implements."""
        if not _TEMPLATE.fullmatch(text):
            raise ValueError("the path cannot be read")
        path, verb = text, ""
        if (colon := text.rfind(":")) > max(text.rfind("/"), text.rfind("}")):
            path, verb = text[:colon], text[colon + 1 :]
        segments: list[str] = []
        variables: list[PathVariable] = []
        for part in _SEGMENT.findall(path):
            start = len(segments)
            if not part.startswith("{"):
                segments.append(part)
                continue
            field_path, _, pattern = part[1:-1].partition("=")
            segments.extend((pattern or "*").split("/"))
            variables.append(PathVariable(field_path, start, None if segments[-1] == "**" else len(segments)))
        if "**" in segments[:-1]:
            raise ValueError("** is not the last segment")
        if len({variable.field_path for variable in variables}) < len(variables):
            raise ValueError("a variable is named twice")
        return cls(text, tuple(segments), tuple(variables), verb)
