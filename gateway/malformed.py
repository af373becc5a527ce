"""The error for a request that cannot be read."""

# How much of a field's path is quoted, in characters: the keys of a map are as long as the client likes.
_MAX_FIELD = 200


class MalformedRequest(ValueError):
    """What is wrong with a request, and the path of the field it is wrong in, if any.

    metadata: the values that the problem speaks of, by key
    """

    def __init__(self, problem: str, field: str = "", **metadata: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.metadata = metadata
        # Half of a surrogate pair, which JSON can escape, is not text that a response could carry.
        field = field if field.isascii() else field.encode(errors="backslashreplace").decode()
        self.field = field if len(field) <= _MAX_FIELD else f"{field[: _MAX_FIELD - 1]}…"

    def within(self, outer: str) -> "MalformedRequest":
        """The same error, with its path extended by the field that contains it."""
        separator = "." if self.field and not self.field.startswith("[") else ""
        return MalformedRequest(self.problem, f"{outer}{separator}{self.field}", **self.metadata)
