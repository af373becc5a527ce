"""A service's pool of connections to PostgreSQL, on which statements run that were compiled once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Any, Self, TypeVar

import asyncpg
import orjson
from asyncpg.pool import Pool, PoolConnectionProxy
from opentelemetry.trace import SpanKind
from prometheus_client import Gauge
from sqlalchemy import ClauseElement, Executable, UpdateBase
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql import visitors
from sqlalchemy.sql.compiler import SQLCompiler

from mesh import telemetry
from mesh.errors import InvalidArgument, Unavailable
from mesh.settings import MeshSettings

Record = asyncpg.Record
Connection = PoolConnectionProxy


async def connect(url: str, settings: MeshSettings, direct_url: str | None = None) -> "Database":
    """A database that works whenever PostgreSQL does: while it cannot be reached, statements raise `Unavailable`.

    `direct_url` leads to PostgreSQL itself where `url` leads to a pooler, and is what `listen` needs then.
    """
    pooler = settings.database_pooler
    pool = await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=settings.database_pool_size,
        timeout=settings.database_connect_seconds,
        # The server ends a statement that takes too long, and the client one that no server ends.
        command_timeout=settings.database_statement_seconds + 1,
        # Behind a pooler, the settings and the prepared statements of a session are not the session's own.
        server_settings={} if pooler else {"statement_timeout": f"{settings.database_statement_seconds:g}s", "jit": "off"},
        statement_cache_size=0 if pooler else 1000,
        connection_class=_Connection,
        init=_read_json,
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
        """How many rows were changed, by a statement whose rows nobody wants."""
        return await self._run(_execute, statement, parameters)

    async def _run(self, verb: "Verb[T]", statement: Executable, parameters: Mapping[str, object]) -> "T":
        raise NotImplementedError


class Transaction(Executor):
    """All or nothing."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tracer = telemetry.tracer()

    async def _run(self, verb: "Verb[T]", statement: Executable, parameters: Mapping[str, object]) -> "T":
        compiled = _compile(statement)
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
            _refuse(error, self._connection)
            raise


class Database(Executor):
    """A pool of connections. Statements run each by itself, or together inside of `begin`."""

    def __init__(self, pool: Pool, url: str, direct_url: str | None, settings: MeshSettings) -> None:
        self._pool = pool
        self._url = url
        self._direct_url = direct_url
        self._settings = settings
        self._probe: asyncpg.Connection | None = None
        _POOL.labels("idle").set_function(pool.get_idle_size)
        _POOL.labels("busy").set_function(lambda: pool.get_size() - pool.get_idle_size())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connections. Statements under way are waited for, for a moment."""
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
        connection, transaction = await self._begin()
        try:
            try:
                yield Transaction(connection)
            except BaseException:
                if not _is_lost(connection):
                    await transaction.rollback()
                raise
            try:
                await transaction.commit()
            except _ERRORS as error:
                _refuse(error, connection)
                raise
        finally:
            await self._pool.release(connection)

    async def ping(self) -> None:
        """Raises `Unavailable` if PostgreSQL does not answer. Asks on a connection of its own: a busy pool is no outage."""
        try:
            if self._probe is None or self._probe.is_closed():
                self._probe = await asyncpg.connect(self._url, timeout=_PING_SECONDS, statement_cache_size=0)
            await self._probe.execute("SELECT 1", timeout=_PING_SECONDS)
        except _ERRORS as error:
            if self._probe:
                self._probe.terminate()
                self._probe = None
            raise _unavailable() from error

    @property
    def can_listen(self) -> bool:
        """Whether there is a way to PostgreSQL on which `listen` works. If not, what changed must be asked for."""
        return self._direct_url is not None

    @asynccontextmanager
    async def listen(self, channel: str) -> AsyncIterator[AsyncIterator[str]]:
        """What is notified on a channel from now on. Raises `Unavailable` when the connection is lost: then ask what was missed."""
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
            yield _heard(connection, payloads)
        except _ERRORS as error:
            _refuse(error, connection)
            raise
        finally:
            connection.terminate()

    async def _run(self, verb: "Verb[T]", statement: Executable, parameters: Mapping[str, object]) -> "T":
        if self._settings.database_pooler:
            # Preparing and running are two messages, and between them the pooler may change the session, except in a transaction.
            async with self.begin() as transaction:
                return await transaction._run(verb, statement, parameters)
        connection = await self._acquire()
        try:
            return await Transaction(connection)._run(verb, statement, parameters)
        except Unavailable:
            if not (_is_lost(connection) and _compile(statement).is_read):
                raise
        finally:
            await self._pool.release(connection)
        # The connection was lost while it lay in the pool: so were the others, but a new one may do.
        await self._pool.expire_connections()
        connection = await self._acquire()
        try:
            return await Transaction(connection)._run(verb, statement, parameters)
        finally:
            await self._pool.release(connection)

    async def _begin(self) -> tuple[Connection, asyncpg.transaction.Transaction]:
        connection = await self._acquire()
        transaction = connection.transaction()
        try:
            # A pooler takes a client in before it has a connection to PostgreSQL.
            async with asyncio.timeout(self._settings.database_connect_seconds):
                await transaction.start()
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
        return connection, transaction

    async def _acquire(self) -> Connection:
        try:
            return await self._pool.acquire(timeout=self._settings.database_acquire_seconds)
        except _ERRORS as error:
            raise _unavailable() from error


T = TypeVar("T")
Verb = Callable[[Connection, str, list[object]], Awaitable[T]]

_POOL = Gauge("database_pool_connections", "Connections to PostgreSQL.", ("state",))
_DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
_PING_SECONDS = 0.8
_CLOSE_SECONDS = 5
_SILENCE_SECONDS = 10

# What asyncpg raises. The last: PostgreSQL took its leave while the connection lay idle, and the connection does not know yet.
_ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

# What PostgreSQL, or a pooler in front of it, says when it is starting, stopping, full or too slow.
_UNAVAILABLE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)


class _Connection(asyncpg.Connection):
    def get_reset_query(self) -> str:
        """Nothing: no statement leaves anything behind in its session, and a round trip after each would cost a third of it."""
        return ""


@dataclass(frozen=True, slots=True)
class _Compiled:
    text: str
    # The first word: SELECT, INSERT, ...
    operation: str
    is_read: bool
    # The parameters in the order of `$1`, `$2`, ..., the values of those that the statement itself gives, and what some must become first.
    order: tuple[str, ...]
    names: frozenset[str]
    constants: dict[str, object]
    processors: Mapping[str, Callable[[object], object]]

    def arguments(self, parameters: Mapping[str, object]) -> list[object]:
        values = {**self.constants, **parameters}
        if values.keys() != self.names:
            raise TypeError(f"the statement takes {sorted(self.names - self.constants.keys())}, and was given {sorted(parameters)}")
        if not self.processors:
            return [values[name] for name in self.order]
        return [self.processors[name](values[name]) if name in self.processors else values[name] for name in self.order]


@lru_cache(maxsize=1024)
def _compile(statement: Executable) -> _Compiled:
    compiled = statement.compile(dialect=_DIALECT) if isinstance(statement, ClauseElement) else None
    if not isinstance(compiled, SQLCompiler):
        raise TypeError(f"{statement!r} is not a statement that takes parameters")
    if compiled.post_compile_params:
        raise TypeError("a list goes in as one array: any_(bindparam(..., type_=ARRAY(...))) in place of in_(...)")
    if compiled.insert_prefetch or compiled.update_prefetch:
        raise TypeError("a column's default is the server's: use server_default, or give the value")
    text = str(compiled)
    order = tuple(compiled.positiontup or ())
    return _Compiled(
        text=text,
        operation=text.split(maxsplit=1)[0].upper(),
        is_read=statement.is_select and not any(isinstance(part, UpdateBase) for part in visitors.iterate(compiled.statement)),
        order=order,
        names=frozenset(order),
        constants={name: bind.effective_value for bind, name in compiled.bind_names.items() if not bind.required},
        processors={name: processor for name, processor in compiled._bind_processors.items() if callable(processor)},
    )


async def _fetch(connection: Connection, text: str, arguments: list[object]) -> list[Record]:
    return await connection.fetch(text, *arguments)


async def _fetch_row(connection: Connection, text: str, arguments: list[object]) -> Record | None:
    return await connection.fetchrow(text, *arguments)


async def _execute(connection: Connection, text: str, arguments: list[object]) -> int:
    # The command's tag: `UPDATE 3`, `INSERT 0 3`, `CREATE TABLE`.
    count = (await connection.execute(text, *arguments)).rpartition(" ")[2]
    return int(count) if count.isdigit() else 0


async def _read_json(connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        # SQLAlchemy writes it as text already.
        await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=orjson.loads)


async def _heard(connection: asyncpg.Connection, payloads: asyncio.Queue[str | None]) -> AsyncIterator[str]:
    while True:
        try:
            async with asyncio.timeout(_SILENCE_SECONDS):
                payload = await payloads.get()
        except TimeoutError:
            # Silence may be a connection that is gone without a word.
            await connection.execute("SELECT 1", timeout=_PING_SECONDS)
            continue
        if payload is None:
            raise _unavailable()
        yield payload


def _refuse(error: Exception, connection: "Connection | asyncpg.Connection") -> None:
    """Raises the refusal that the error amounts to, if it does to any."""
    if isinstance(error, asyncpg.InternalClientError):
        connection.terminate()
    if isinstance(error, _UNAVAILABLE) or _is_lost(connection):
        raise _unavailable() from error
    if isinstance(error, asyncpg.CharacterNotInRepertoireError | asyncpg.UntranslatableCharacterError):
        raise InvalidArgument("text must not contain the character NUL") from error


def _is_lost(connection: Connection | asyncpg.Connection) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        # The pool has noticed, and taken it back.
        return True


def _unavailable() -> Unavailable:
    return Unavailable("DATABASE_UNAVAILABLE", "the database cannot be reached")
