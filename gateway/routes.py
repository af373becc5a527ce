"""The binding that serves a path."""

import re
from typing import NamedTuple
from urllib.parse import unquote

from gateway.contract import Binding

INCOMPLETE_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPED_SLASH = re.compile(r"%2[Ff]")


class Route(NamedTuple):
    """The binding for a path as it was sent."""

    binding: Binding
    segments: list[str]
    """The path's segments without version and verb."""
    prefix: str
    """The version before the path, such as `/v1`; empty if the path has none."""


class Routes:
    """The bindings as trees of path segments, of which each version has its own, and all share the one of bare paths.

    Of two that match, the one with a literal in the first segment that differs wins.
    """

    def __init__(self, bindings: list[Binding]) -> None:
        self._bare = _Node()
        self._versions: dict[str, _Node] = {}
        self._verbs = {binding.template.verb for binding in bindings} - {""}
        self._http_methods = {binding.http_method for binding in bindings}
        for binding in bindings:
            self._bare.add(binding)
            if binding.version:
                self._versions.setdefault(binding.version, _Node()).add(binding)

    def find(self, http_method: str, path: str) -> Route | None:
        """The route of a path as it was sent."""
        root, prefix, segments = self._bare, "", path[1:].split("/")
        if segments[0] in self._versions:
            root, prefix, segments = self._versions[segments[0]], f"/{segments[0]}", segments[1:]
        if not segments:
            return None
        if found := self._verb_and_segments(segments):
            verb, shorter = found
            if binding := _find(root, shorter, 0, verb, http_method):
                return Route(binding, shorter, prefix)
        if binding := _find(root, segments, 0, "", http_method):
            return Route(binding, segments, prefix)
        return None

    def version_of(self, path: str) -> str:
        """The version before a path, such as `/v1`; empty if it has none."""
        first = path[1:].partition("/")[0]
        return f"/{first}" if first in self._versions else ""

    def allowed_methods(self, path: str) -> set[str]:
        """The HTTP methods of a path; none if nothing is bound to it."""
        return {http_method for http_method in self._http_methods if self.find(http_method, path)}

    def _verb_and_segments(self, segments: list[str]) -> tuple[str, list[str]] | None:
        name, colon, verb = segments[-1].rpartition(":")
        return (verb, [*segments[:-1], name]) if colon and verb in self._verbs else None


def segment_text(segment: str) -> str:
    """A segment without its escapes. Raises ValueError if they are not UTF-8."""
    if "%" not in segment and segment.isascii():
        return segment
    return _unquote(segment)


def segments_text(segments: list[str]) -> str:
    """Several segments without their escapes, but for escaped slashes, which stay apart from those between segments."""
    return "/".join(_unquote(_ESCAPED_SLASH.sub("%252F", segment)) for segment in segments)


class _Node:
    __slots__ = ("bindings", "children")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.bindings: dict[tuple[str, str], Binding] = {}
        """By verb and HTTP method."""

    def add(self, binding: Binding) -> None:
        """Adds a binding below this node."""
        node = self
        for segment in binding.template.segments:
            node = node.children.setdefault(segment, _Node())
        node.bindings[binding.template.verb, binding.http_method] = binding


def _find(node: _Node, segments: list[str], depth: int, verb: str, http_method: str) -> Binding | None:
    if depth == len(segments):
        return node.bindings.get((verb, http_method))
    segment = segments[depth]
    children = node.children
    found = None
    if segment in children:
        found = _find(children[segment], segments, depth + 1, verb, http_method)
    if not found and segment and "*" in children:
        found = _find(children["*"], segments, depth + 1, verb, http_method)
    if not found and segment and "**" in children:
        found = children["**"].bindings.get((verb, http_method))
    return found


def _unquote(text: str) -> str:
    if INCOMPLETE_ESCAPE.search(text):
        raise ValueError("incomplete escape")
    # The server passes on bytes outside of ASCII as one character each.
    return unquote(text.encode("latin-1").decode(), errors="strict")
