"""Audit events wait until they can be kept, within limits, and none is lost without a word."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

import grpc.aio
import pytest
import structlog
from grpc.aio import Metadata
from structlog.testing import capture_logs

from mesh import audit
from mesh.audit import AuditEvent, AuditTrail
from mesh.errors import InvalidArgument, Unavailable


class Keeper:
    """Keeps events, unless it is away."""

    def __init__(self) -> None:
        self.is_away = False
        self.events: list[AuditEvent] = []

    async def keep(self, events: Sequence[AuditEvent]) -> None:
        if self.is_away:
            raise Unavailable("SERVICE_UNAVAILABLE", "away")
        self.events += events


def event(resource: str = "users/1", *, is_refusal: bool = False, request_id: str = "") -> AuditEvent:
    return AuditEvent(uuid4(), datetime.now(UTC), "ann", "customer", "Shop.Buy", resource, "OK", "", "192.0.2.1", request_id, is_refusal)


async def run_for_a_moment(trail: AuditTrail) -> None:
    """Runs the trail for more than one interval, and ends it as a stopping process does."""
    running = asyncio.create_task(trail.run())
    await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.fixture(autouse=True)
def _short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    structlog.reset_defaults()
    monkeypatch.setattr(audit, "_INTERVAL_SECONDS", 0.01)


async def test_events_wait_while_nobody_keeps_them() -> None:
    keeper = Keeper()
    trail = AuditTrail(keeper.keep)
    keeper.is_away = True
    for number in range(1200):
        trail.add(event(f"users/{number}"))
    await run_for_a_moment(trail)
    assert keeper.events == []
    keeper.is_away = False
    await run_for_a_moment(trail)
    assert [kept.resource for kept in keeper.events] == [f"users/{number}" for number in range(1200)]


async def test_what_is_too_much_to_wait_is_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_MAX_WAITING", 2)
    keeper = Keeper()
    trail = AuditTrail(keeper.keep)
    with capture_logs() as lines:
        for number in range(3):
            trail.add(event(f"users/{number}"))
    assert [line["resource"] for line in lines if line["event"] == "audit"] == ["users/0", "users/1", "users/2"]
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["audit event lost"]


async def test_a_flood_of_equal_refusals_is_one_event() -> None:
    keeper = Keeper()
    trail = AuditTrail(keeper.keep)
    for number in range(1000):
        trail.add(event(is_refusal=True, request_id=str(number)))
    trail.add(event("users/2", is_refusal=True))
    trail.add(event())
    await run_for_a_moment(trail)
    assert sorted((kept.call_count, kept.request_id) for kept in keeper.events) == [(1, ""), (1, ""), (1000, "0")]


@pytest.mark.parametrize("refusal", [InvalidArgument("no"), grpc.aio.AioRpcError(grpc.StatusCode.INVALID_ARGUMENT, Metadata(), Metadata())])
async def test_a_refused_event_ends_nothing_and_takes_no_other_along(refusal: Exception) -> None:
    kept: list[str] = []

    async def keep(events: Sequence[AuditEvent]) -> None:
        if any(event.resource == "users/\0" for event in events):
            raise refusal
        kept.extend(event.resource for event in events)

    trail = AuditTrail(keep)
    for resource in ("users/1", "users/\0", "users/2"):
        trail.add(event(resource))
    with capture_logs() as lines:
        await run_for_a_moment(trail)
    assert kept == ["users/1", "users/2"]
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["audit event lost"]
