"""Audit events: who called what, and how it ended. Kept by auth; each process hands its own over in batches."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import grpc.aio
import structlog
from prometheus_client import Counter

from hashiramart.auth.v1 import auth_pb2, auth_pb2_grpc
from mesh.errors import InvalidArgument, Unavailable
from mesh.timestamps import timestamp

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


# Keeps events; raises `Unavailable` or `AioRpcError` if it cannot.
Keeper = Callable[[Sequence[AuditEvent]], Awaitable[None]]


class AuditTrail:
    """Collects the events of a process, logs each, and hands them over every second.

    Calls do not wait for that. While the keeper cannot be reached, events wait; what is too much to wait stays in the log alone.
    """

    def __init__(self, keep: Keeper) -> None:
        self._keep = keep
        self._waiting: deque[AuditEvent] = deque()
        # The refusals of this second, by all that makes them equal.
        self._refusals: dict[tuple[str, ...], AuditEvent] = {}

    def add(self, event: AuditEvent) -> None:
        """Adds the event of a call. Equal refusals within a second become one event: a flood of them is not to fill the database."""
        if not event.is_refusal:
            self._enqueue(event)
            return
        key = (event.subject, event.rpc, event.resource, event.code, event.reason, event.client_address)
        first = self._refusals.get(key)
        self._refusals[key] = event if first is None else replace(first, call_count=first.call_count + 1)

    async def run(self) -> None:
        """Hands events over until cancelled, and then what is left."""
        try:
            while True:
                await asyncio.sleep(_INTERVAL_SECONDS)
                await self._hand_over()
        finally:
            await self._hand_over()

    async def _hand_over(self) -> None:
        for refusal in self._refusals.values():
            self._enqueue(refusal)
        self._refusals.clear()
        try:
            while self._waiting:
                batch = [self._waiting[index] for index in range(min(_BATCH, len(self._waiting)))]
                if not await self._is_kept(batch):
                    # One of them is refused, and is not to take the others along.
                    for event in batch:
                        if not await self._is_kept([event]):
                            self._lose(event)
                for _ in batch:
                    self._waiting.popleft()
        except (Unavailable, grpc.aio.AioRpcError, TimeoutError) as error:
            _log.warning("audit events wait", count=len(self._waiting), error=repr(error)[:200])

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

    def _enqueue(self, event: AuditEvent) -> None:
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
        if len(self._waiting) < _MAX_WAITING:
            self._waiting.append(event)
        else:
            self._lose(event)

    def _lose(self, event: AuditEvent) -> None:
        _LOST.inc()
        _log.error("audit event lost", event_id=str(event.id))


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
