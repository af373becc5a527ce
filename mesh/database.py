"""A service's pool of connections to PostgreSQL."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

import asyncpg
import orjson
from asyncpg.pool import Pool, PoolConnectionProxy
from opentelemetry.trace import SpanKind
from prometheus_client import Gauge
from sqlalchemy import Executable

from mesh import telemetry
from mesh.errors import InvalidArgument, Unavailable
from mesh.settings import MeshSettings
from mesh.statements import compile_statement

Record = asyncpg.Record
Connection = PoolConnectionProxy

T = TypeVar("T")
Verb = Callable[[Connection, str, list[object]], Awaitable[T]]

# On a busy machine an answer takes a second or two, and calls are still served.
_PING_SECONDS = 3
_CLOSE_SECONDS = 5
# Before a statement that a conflict has ended is repeated.
_MAX_PAUSE_SECONDS = 0.1
# How long a transaction may be idle between two statements: its process hangs, and other transactions wait for its locks.
_IDLE_SECONDS = 10
# How long either side keeps a connection whose other side acknowledges nothing: it is gone without a word.
_LOST_SECONDS = 10
# A listening connection that is silent for so long is probed: it may be broken without a word.
_PROBE_SECONDS = 10

# All that asyncpg raises. `InternalClientError`: PostgreSQL closed the connection while it was idle, and it does not know yet.
_ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

# One of two transactions that wait for each other, or whose results depend on their order; and one that has waited too long. It is rolled
# back, and may be repeated.
_CONFLICTS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError)

# What PostgreSQL, or a pooler in front of it, raises when it is starting, stopping, full or too slow.
_OUTAGES = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)

_POOL = Gauge("database_pool_connections", "Connections to PostgreSQL.", ("state",))


async def connect(url: str, settings: MeshSettings, direct_url: str | None = None) -> "Database":
    """A database that need not be up yet: while PostgreSQL cannot be reached, statements raise `Unavailable`.

    direct_url: PostgreSQL itself, which `listen` needs where `url` leads to a pooler
    """
    pooler = settings.database_pooler
    pool = await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=settings.database_pool_size,
        timeout=settings.database_connect_seconds,
        # The server cancels a statement that takes too long; the client gives up a second later if the server does not answer at all.
        command_timeout=settings.database_statement_seconds + 1,
        # Behind a pooler, a session's settings and prepared statements are shared with other clients.
        server_settings={} if pooler else _limits(settings) | {"tcp_user_timeout": str(_LOST_SECONDS * 1000)},
        statement_cache_size=0 if pooler else 1000,
        connection_class=_Connection,
        init=_prepare,
    )
    return Database(pool, url, direct_url or (None if pooler else url), settings)


class Executor:
    """Runs statements of SQLAlchemy Core, with values for their `bindparam`s.

    A statement is compiled once per object, so it should be a constant or come from a cached function. A list goes in as one array:
    `column == any_(bindparam("ids", type_=ARRAY(Text)))`.
    """

    async def fetch(self, statement: Executable, **parameters: object) -> list[Record]:
        """All rows."""
        return await self._run(_fetch, statement, parameters)

    async def fetch_row(self, statement: Executable, **parameters: object) -> Record | None:
        """The first row, or None if there is none."""
        return await self._run(_fetch_row, statement, parameters)

    async def fetch_value(self, statement: Executable, **parameters: object) -> Any:
        """The first value of the first row, or None if there is none."""
        row = await self._run(_fetch_row, statement, parameters)
        return None if row is None else row[0]

    async def execute(self, statement: Executable, **parameters: object) -> int:
        """Runs a statement whose rows are not needed, and returns how many rows it changed."""
        return await self._run(_execute, statement, parameters)

    async def _run(self, verb: "Verb[T]", statement: Executable, parameters: Mapping[str, object]) -> "T":
        raise NotImplementedError


class Transaction(Executor):
    """Statements that take effect together or not at all."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tracer = telemetry.tracer()

    async def _run(self, verb: "Verb[T]", statement: Executable, parameters: Mapping[str, object]) -> "T":
        compiled = compile_statement(statement)
        arguments = compiled.arguments(parameters)
        try:
            if self._tracer is None:
                return await verb(self._connection, compiled.text, arguments)
            with self._tracer.start_as_current_span(
                compiled.operation,
                kind=SpanKind.CLIENT,
                attributes={"db.system.name": "postgresql", "db.query.text": compiled.text},
                record_exception=False,
                set_status_on_exception=False,
            ):
                return await verb(self._connection, compiled.text, arguments)
        except _ERRORS as error:
            _raise_status_error(error, self._connection)
            raise


class Database(Executor):
    """A pool of connections. Each statement is a transaction of its own, unless it runs inside of `begin`."""

    def __init__(self, pool: Pool, url: str, direct_url: str | None, settings: MeshSettings) -> None:
        self._pool = pool
        self._url = url
        self._direct_url = direct_url
        self._settings = settings
        # With a pooler, a session's settings are those of each transaction.
        local = _limits(settings) if settings.database_pooler else {}
        self._begin_text = "; ".join(["BEGIN", *(f"SET LOCAL {name} = '{value}'" for name, value in local.items())])
        self._probe: asyncpg.Connection | None = None
        # A connection runs one statement at a time, and more than one may ask for the health.
        self._probing = asyncio.Lock()
        _POOL.labels("idle").set_function(pool.get_idle_size)
        _POOL.labels("busy").set_function(lambda: pool.get_size() - pool.get_idle_size())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections, and waits a few seconds for the statements under way."""
        if self._probe:
            self._probe.terminate()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """A transaction: committed at the end of the block, rolled back if the block raises."""
        connection = await self._begin()
        try:
            try:
                yield Transaction(connection)
            except BaseException:
                if not _is_lost(connection):
                    await connection.execute("ROLLBACK")
                raise
            try:
                await connection.execute("COMMIT")
            except _ERRORS as error:
                _raise_status_error(error, connection)
                raise
        finally:
            await self._pool.release(connection)

    async def ping(self) -> None:
        """Raises `Unavailable` if PostgreSQL does not respond. It has a connection of its own: a busy pool is no outage."""
        async with self._probing:
            try:
                async with asyncio.timeout(_PING_SECONDS):
                    if self._probe is None or self._probe.is_closed():
                        self._probe = await asyncpg.connect(self._url, statement_cache_size=0)
                    await self._probe.execute("SELECT 1")
            except BaseException as error:
                if self._probe:
                    self._probe.terminate()
                    self._probe = None
                if isinstance(error, _ERRORS):
                    raise _unavailable() from error
                raise

    @property
    def can_listen(self) -> bool:
        """Whether `listen` is possible. Behind a pooler it is not, and changes have to be polled."""
        return self._direct_url is not None

    @asynccontextmanager
    async def listen(self, channel: str) -> AsyncIterator[AsyncIterator[str]]:
        """The payloads of the notifications on a channel from now on.

        Raises `Unavailable` when the connection is lost: what changed in the meantime has to be read then.
        """
        if self._direct_url is None:
            raise RuntimeError("LISTEN needs the URL of PostgreSQL itself")
        try:
            connection = await asyncpg.connect(self._direct_url, timeout=self._settings.database_connect_seconds)
        except _ERRORS as error:
            raise _unavailable() from error
        payloads: asyncio.Queue[str | None] = asyncio.Queue()
        connection.add_termination_listener(lambda _connection: payloads.put_nowait(None))
        try:
            await connection.add_listener(channel, lambda _connection, _pid, _channel, payload: payloads.put_nowait(payload))
            yield _notifications(connection, payloads)
        except _ERRORS as error:
            _raise_status_error(error, connection)
            raise
        finally:
            connection.terminate()

    async def _run(self, verb: "Verb[T]", statement: Executable, parameters: Mapping[str, object]) -> "T":
        try:
            return await self._run_once(verb, statement, parameters)
        except Unavailable as error:
            # The statement was rolled back as a whole, so that it can be repeated. One that has waited for a lock would wait again.
            if not isinstance(error.__cause__, asyncpg.DeadlockDetectedError | asyncpg.SerializationError):
                raise
        # The other goes first: at once, the same two would wait for each other again.
        await asyncio.sleep(random.uniform(0, _MAX_PAUSE_SECONDS))  # noqa: S311 no secret
        return await self._run_once(verb, statement, parameters)

    async def _run_once(self, verb: "Verb[T]", statement: Executable, parameters: Mapping[str, object]) -> "T":
        if self._settings.database_pooler:
            # A statement is prepared and run by two messages. Outside of a transaction, the pooler may change the session in between.
            async with self.begin() as transaction:
                return await transaction._run(verb, statement, parameters)
        connection = await self._acquire()
        try:
            return await Transaction(connection)._run(verb, statement, parameters)
        except Unavailable:
            if not (_is_lost(connection) and compile_statement(statement).is_read):
                raise
        finally:
            await self._pool.release(connection)
        # The connection was lost while it was idle, and so may be all others of the pool: a read is tried again on a new one.
        await self._pool.expire_connections()
        connection = await self._acquire()
        try:
            return await Transaction(connection)._run(verb, statement, parameters)
        finally:
            await self._pool.release(connection)

    async def _begin(self) -> Connection:
        connection = await self._acquire()
        try:
            # A pooler accepts a client before it has a connection to PostgreSQL.
            async with asyncio.timeout(self._settings.database_connect_seconds):
                await connection.execute(self._begin_text)
        except BaseException as error:
            lost = _is_lost(connection)
            if not lost:
                connection.terminate()
            await self._pool.release(connection)
            if lost:
                await self._pool.expire_connections()
            if isinstance(error, _ERRORS):
                raise _unavailable() from error
            raise
        return connection

    async def _acquire(self) -> Connection:
        try:
            return await self._pool.acquire(timeout=self._settings.database_acquire_seconds)
        except _ERRORS as error:
            raise _unavailable() from error


class _Connection(asyncpg.Connection):
    def get_reset_query(self) -> str:
        """Nothing: no statement of ours changes its session, and the round trip would take a third of a statement's time."""
        return ""


def _limits(settings: MeshSettings) -> dict[str, str]:
    """The settings of a session, or of each transaction behind a pooler."""
    return {
        "statement_timeout": f"{settings.database_statement_seconds:g}s",
        "lock_timeout": f"{settings.database_lock_seconds:g}s",
        "idle_in_transaction_session_timeout": f"{_IDLE_SECONDS}s",
        "jit": "off",
    }


async def _prepare(connection: asyncpg.Connection) -> None:
    # asyncpg has no public way to its socket.
    endpoint = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
    if endpoint.family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):
        endpoint.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _LOST_SECONDS * 1000)
    async with connection.transaction():
        # SQLAlchemy's processors have serialized the values already.
        await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=orjson.loads)


async def _fetch(connection: Connection, text: str, arguments: list[object]) -> list[Record]:
    return await connection.fetch(text, *arguments)


async def _fetch_row(connection: Connection, text: str, arguments: list[object]) -> Record | None:
    return await connection.fetchrow(text, *arguments)


async def _execute(connection: Connection, text: str, arguments: list[object]) -> int:
    # The command tag: `UPDATE 3`, `INSERT 0 3`, `CREATE TABLE`.
    count = (await connection.execute(text, *arguments)).rpartition(" ")[2]
    return int(count) if count.isdigit() else 0


async def _notifications(connection: asyncpg.Connection, payloads: asyncio.Queue[str | None]) -> AsyncIterator[str]:
    while True:
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                payload = await payloads.get()
        except TimeoutError:
            await connection.execute("SELECT 1", timeout=_PING_SECONDS)
            continue
        if payload is None:
            raise _unavailable()
        yield payload


def _raise_status_error(error: Exception, connection: "Connection | asyncpg.Connection") -> None:
    """Raises the `StatusError` that an error of asyncpg amounts to; returns if it is a bug."""
    if isinstance(error, asyncpg.InternalClientError):
        connection.terminate()
    if isinstance(error, _CONFLICTS):
        raise Unavailable("DATABASE_BUSY", "the call was in conflict with a concurrent one; retry it") from error
    if isinstance(error, _OUTAGES) or _is_lost(connection):
        raise _unavailable() from error
    if isinstance(error, asyncpg.CharacterNotInRepertoireError | asyncpg.UntranslatableCharacterError):
        raise InvalidArgument("text must not contain the character NUL") from error


def _is_lost(connection: Connection | asyncpg.Connection) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        # The pool has noticed, and released it.
        return True


def _unavailable() -> Unavailable:
    return Unavailable("DATABASE_UNAVAILABLE", "the database cannot be reached")
