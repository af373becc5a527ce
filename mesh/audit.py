"""Audit events: who called what, and how it ended. Kept by auth; each process hands its own over in batches."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import grpc.aio
import structlog
from prometheus_client import Counter

from hashiramart.auth.v1 import auth_pb2, auth_pb2_grpc
from mesh.errors import InvalidArgument
from mesh.timestamps import timestamp
from mesh.write_queue import WriteQueue

_BATCH = 500
_INTERVAL_SECONDS = 1
# So many events wait at most while auth cannot be reached: some megabytes.
_MAX_WAITING = 20_000
_SEND_SECONDS = 3

_LOST = Counter("audit_events_lost", "Audit events that are in the log only, since too many waited, or auth refused them.")

_log = structlog.get_logger(__name__)
_resource: ContextVar[str] = ContextVar("resource", default="")
_is_omitted: ContextVar[bool] = ContextVar("is_omitted", default=False)


def resource() -> str:
    """What the call being served is about, or nothing if no one has said so."""
    return _resource.get()


def enter_resource(resource: str) -> None:
    """Says what the call being served is about, if the request does not: `users/6f1c…`."""
    _resource.set(resource)


def is_omitted() -> bool:
    """Whether the call being served leaves no event, unless it is refused."""
    return _is_omitted.get()


def omit() -> None:
    """Lets the call being served leave no event, unless it is refused: it has changed nothing that anybody would look for."""
    _is_omitted.set(True)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """A call that changed something or was refused. The fields are those of the contract."""

    id: UUID
    event_time: datetime
    subject: str
    role: str
    rpc: str
    resource: str
    code: str
    reason: str
    client_address: str
    request_id: str
    is_refusal: bool
    call_count: int = 1


# Keeps events; raises if it cannot.
Keeper = Callable[[Sequence[AuditEvent]], Awaitable[None]]


class AuditTrail:
    """Collects the events of a process, logs each, and hands them over every second.

    Calls do not wait for that. While the keeper cannot be reached, events wait; what is too much to wait stays in the log alone.
    """

    def __init__(self, keep: Keeper) -> None:
        self._keep = keep
        self._queue = WriteQueue(
            self._hand_over, _lose, interval_seconds=_INTERVAL_SECONDS, batch=_BATCH, limit=_MAX_WAITING, collect=self._logged_refusals
        )
        # The refusals of this second, by all that makes them equal.
        self._refusals: dict[tuple[str, ...], AuditEvent] = {}

    def add(self, event: AuditEvent) -> None:
        """Adds the event of a call. Equal refusals within a second become one event: a flood of them is not to fill the database."""
        if not event.is_refusal:
            _log_event(event)
            self._queue.add(event)
            return
        key = (event.subject, event.rpc, event.resource, event.code, event.reason, event.client_address)
        first = self._refusals.get(key)
        self._refusals[key] = event if first is None else replace(first, call_count=first.call_count + 1)

    async def run(self) -> None:
        """Hands events over until cancelled, and then what is left."""
        await self._queue.run()

    def _logged_refusals(self) -> Iterable[AuditEvent]:
        """The refusals of this second, each of them logged."""
        refusals, self._refusals = self._refusals, {}
        for refusal in refusals.values():
            _log_event(refusal)
        return refusals.values()

    async def _hand_over(self, batch: Sequence[AuditEvent]) -> None:
        if not await self._is_kept(batch):
            # One of them is refused, and is not to take the others along.
            for event in batch:
                if not await self._is_kept([event]):
                    _lose(event)

    async def _is_kept(self, events: Sequence[AuditEvent]) -> bool:
        """Hands events over; whether they are not refused as invalid, which they would be for ever."""
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await self._keep(events)
        except InvalidArgument:
            return False
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                raise
            return False
        return True


def remote_keeper(auth: grpc.aio.Channel) -> Keeper:
    """Hands events to auth.

    auth: a channel whose calls are those of this service
    """
    stub = auth_pb2_grpc.AuthServiceStub(auth)

    async def keep(events: Sequence[AuditEvent]) -> None:
        await stub.RecordAuditEvents(auth_pb2.RecordAuditEventsRequest(events=map(event_message, events)), timeout=_SEND_SECONDS)

    return keep


def event_message(event: AuditEvent) -> auth_pb2.AuditEvent:
    return auth_pb2.AuditEvent(
        id=str(event.id),
        event_time=timestamp(event.event_time),
        subject=event.subject,
        role=event.role,
        rpc=event.rpc,
        resource=event.resource,
        code=event.code,
        reason=event.reason,
        client_address=event.client_address,
        request_id=event.request_id,
        call_count=event.call_count,
    )


def _log_event(event: AuditEvent) -> None:
    _log.info(
        "audit",
        rpc=event.rpc,
        subject=event.subject,
        role=event.role,
        resource=event.resource,
        code=event.code,
        reason=event.reason,
        client_address=event.client_address,
        call_count=event.call_count,
    )


def _lose(event: AuditEvent) -> None:
    _LOST.inc()
    _log.error("audit event lost", event_id=str(event.id))
