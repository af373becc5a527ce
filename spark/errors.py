"""What can be wrong with the data or the engines, in the words of whoever runs the job."""


class Refused(Exception):
    """The job ends here, and what was published before stands. The reason is one of the jobs service's `ErrorReason`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class NoRawData(Refused):
    """There is nothing to clean."""

    def __init__(self, root: str) -> None:
        super().__init__("NO_RAW_DATA", f"There are no sales files below {root}: land one first.")


class UnreadableFile(Refused):
    """A raw file cannot be taken in as it is."""

    def __init__(self, name: str, fault: str) -> None:
        super().__init__("RAW_FILE_UNREADABLE", f"{name} {fault}.")


class TooManyRejects(Refused):
    """Too large a share of a file's lines was refused."""

    def __init__(self, name: str, share: float, allowed: float) -> None:
        super().__init__("TOO_MANY_REJECTS", f"{share:.1%} of the lines of {name} were refused, and {allowed:.1%} is allowed.")
