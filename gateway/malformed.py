"""The error for a request that cannot be read."""


class MalformedRequest(ValueError):
    """What is wrong with a request, and the path of the field it is wrong in, if any."""

    def __init__(self, problem: str, field: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.field = field

    def within(self, outer: str) -> "MalformedRequest":
        """The same error, with its path extended by the field that contains it."""
        separator = "." if self.field and not self.field.startswith("[") else ""
        return MalformedRequest(self.problem, f"{outer}{separator}{self.field}")
