"""The errors that end an ETL job, in words for the user who started it."""


class EtlError(Exception):
    """Ends the job; what was published before stays published.

    reason: a value of `ErrorReason` in the jobs service's contract
    message: a sentence for the user
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class NoRawData(EtlError):
    """The raw zone has no sales."""

    def __init__(self, root: str) -> None:
        super().__init__("NO_RAW_DATA", f"There are no sales files below {root}: land one first.")


class UnreadableFile(EtlError):
    """A raw file is not a complete CSV file of sales."""

    def __init__(self, name: str, fault: str) -> None:
        super().__init__("RAW_FILE_UNREADABLE", f"{name} {fault}.")


class TooManyRejects(EtlError):
    """The share of rejected lines in a file is above the limit."""

    def __init__(self, name: str, share: float, limit: float) -> None:
        super().__init__("TOO_MANY_REJECTS", f"{share:.1%} of the lines of {name} were refused, and {limit:.1%} is allowed.")
