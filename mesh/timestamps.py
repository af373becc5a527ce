"""Converts between `datetime` and `google.protobuf.Timestamp`."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_PER_DAY = 86_400


def timestamp(time: datetime) -> Timestamp:
    """The message for a time, which must have a time zone."""
    message = Timestamp()
    write_timestamp(time, message)
    return message


def write_timestamp(time: datetime, message: Timestamp) -> None:
    """Writes a time into a message that is already part of another, in a third of the time that `Timestamp.FromDatetime` takes."""
    elapsed = time - _EPOCH
    message.seconds = elapsed.days * _SECONDS_PER_DAY + elapsed.seconds
    message.nanos = elapsed.microseconds * 1000


def to_datetime(message: Timestamp) -> datetime:
    """The time in UTC. Raises `ValueError` if it is outside the years 1 to 9999."""
    return message.ToDatetime(UTC)
