"""The errors that end an ETL job, in words for the user who started it."""

from collections.abc import Sequence

from lake.quality import QualityWarning

# The warnings that a message names.
SHOWN_WARNINGS = 5


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


class TooManyRejects(EtlError):
    """The share of rejected lines in a file is above the limit."""

    def __init__(self, name: str, share: float, limit: float) -> None:
        super().__init__("TOO_MANY_REJECTS", f"{share:.1%} of the lines of {name} were refused, and {limit:.1%} is allowed.")


class DataQualityHeld(EtlError):
    """The data differs from what is published by more than is usual, and the settings say that such data is not published."""

    def __init__(self, warnings: Sequence[QualityWarning]) -> None:
        sentences = "; ".join(warning.sentence() for warning in warnings[:SHOWN_WARNINGS])
        more = f"; and {len(warnings) - SHOWN_WARNINGS} more" if len(warnings) > SHOWN_WARNINGS else ""
        super().__init__("DATA_QUALITY_HELD", f"The data was not published, as it differs from the months before: {sentences}{more}.")
