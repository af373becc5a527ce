"""Conversion of times to messages and back."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from mesh.timestamps import timestamp, to_datetime

TIMES = [
    datetime(2026, 3, 29, 1, 30, 0, 123_456, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(2026, 3, 29, 1, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
]


@pytest.mark.parametrize("time", TIMES)
def test_a_time_is_the_same_after_conversion_to_a_message_and_back(time: datetime) -> None:
    assert to_datetime(timestamp(time)) == time


@pytest.mark.parametrize("time", TIMES)
def test_a_time_is_written_as_protobuf_itself_writes_it(time: datetime) -> None:
    expected = Timestamp()
    expected.FromDatetime(time)
    assert timestamp(time) == expected


def test_a_time_that_no_datetime_holds_is_an_error() -> None:
    with pytest.raises(ValueError, match="not valid"):
        to_datetime(Timestamp(seconds=10**12))
