"""What the gateway reads of a request's headers."""

import pytest

from gateway.asgi import Event
from gateway.exchange import Exchange


async def receive() -> Event:
    return {"type": "http.disconnect"}


async def send(event: Event) -> None:
    raise AssertionError(event)


@pytest.mark.parametrize(
    ("value", "seconds"), [("99999999n", 0.099999999), ("200m", 0.2), ("99999999u", 99.999999), ("7S", 7), ("2M", 120), ("1H", 3600)]
)
def test_a_deadline_is_read_in_its_unit(value: str, seconds: float) -> None:
    scope = {"method": "GET", "query_string": b"", "headers": [(b"grpc-timeout", value.encode())], "client": ("127.0.0.1", 1)}
    assert Exchange(scope, receive, send, ()).timeout() == pytest.approx(seconds)
