"""The binding that serves a path."""

import re
from urllib.parse import unquote

from gateway.contract import Binding

INCOMPLETE_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPED_SLASH = re.compile(r"%2[Ff]")


class Routes:
    """The bindings as a tree of path segments. Of two that match, the one with a literal in the first segment that differs wins."""

    def __init__(self, bindings: list[Binding]) -> None:
        self._root = _Node()
        self._verbs = {binding.template.verb for binding in bindings} - {""}
        self._http_methods = {binding.http_method for binding in bindings}
        for binding in bindings:
            node = self._root
            for segment in binding.template.segments:
                node = node.children.setdefault(segment, _Node())
            node.bindings[binding.template.verb, binding.http_method] = binding

    def find(self, http_method: str, path: str) -> tuple[Binding, list[str]] | None:
        """The binding for a path as it was sent, and the path's segments without the verb."""
        segments = path[1:].split("/")
        if found := self._verb_and_segments(segments):
            verb, shorter = found
            if binding := _find(self._root, shorter, 0, verb, http_method):
                return binding, shorter
        if binding := _find(self._root, segments, 0, "", http_method):
            return binding, segments
        return None

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
