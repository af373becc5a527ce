"""Which binding a path leads to."""

import re
from collections.abc import Iterator
from urllib.parse import unquote

from gateway.contract import Binding

# An escape that is not complete.
BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

_NOTHING: dict[str, Binding] = {}


class Routes:
    """The bindings as a tree of path segments. Where two paths fit, the one with a literal in the first segment that differs wins."""

    def __init__(self, bindings: list[Binding]) -> None:
        self._root = _Node()
        self._verbs = {binding.template.verb for binding in bindings} - {""}
        for binding in bindings:
            node = self._root
            for segment in binding.template.segments:
                node = node.children.setdefault(segment, _Node())
            node.bindings.setdefault(binding.template.verb, {})[binding.http_method] = binding

    def find(self, http_method: str, path: str) -> tuple[Binding, list[str]] | None:
        """The binding for a path as it was sent, and the path's segments."""
        for bindings, segments in self._matches(path):
            if binding := bindings.get(http_method):
                return binding, segments
        return None

    def allowed(self, path: str) -> set[str]:
        """The HTTP methods that a path takes; none if nothing is bound to it."""
        return {http_method for bindings, _ in self._matches(path) for http_method in bindings}

    def _matches(self, path: str) -> Iterator[tuple[dict[str, Binding], list[str]]]:
        segments = path[1:].split("/")
        name, colon, verb = segments[-1].rpartition(":")
        if colon and verb in self._verbs:
            shorter = [*segments[:-1], name]
            for node in _reached(self._root, shorter, 0):
                yield node.bindings.get(verb, _NOTHING), shorter
        for node in _reached(self._root, segments, 0):
            yield node.bindings.get("", _NOTHING), segments


def segment_text(segment: str) -> str:
    """What a segment says once its escapes are undone. Raises ValueError if that is not text."""
    if "%" not in segment and segment.isascii():
        return segment
    return _unquoted(segment)


def segments_text(segments: list[str]) -> str:
    """What several segments say together: an escaped slash stays escaped, so that it cannot be taken for one between segments."""
    return "/".join(_unquoted(_ESCAPED_SLASH.sub("%252F", segment)) for segment in segments)


_ESCAPED_SLASH = re.compile(r"%2[Ff]")


class _Node:
    __slots__ = ("bindings", "children")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.bindings: dict[str, dict[str, Binding]] = {}


def _reached(node: _Node, segments: list[str], depth: int) -> Iterator[_Node]:
    if depth == len(segments):
        yield node
        return
    segment = segments[depth]
    if not segment:
        return
    if literal := node.children.get(segment):
        yield from _reached(literal, segments, depth + 1)
    if any_one := node.children.get("*"):
        yield from _reached(any_one, segments, depth + 1)
    if rest := node.children.get("**"):
        yield rest


def _unquoted(text: str) -> str:
    if BAD_ESCAPE.search(text):
        raise ValueError("an escape in the path is not complete")
    # The server hands bytes outside of ASCII on one by one.
    return unquote(text.encode("latin-1").decode(), errors="strict")
