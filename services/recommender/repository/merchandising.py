"""The queries on slots and rules."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.json_format import MessageToDict, ParseDict
from sqlalchemy import Executable, Integer, Table, Text, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from mesh.database import Database, Transaction
from mesh.errors import Aborted, FailedPrecondition
from mesh.timestamps import timestamp
from services.recommender.merchandising import Merchandising, Rule, Slot
from services.recommender.tables import merchandising, rules, slots

# Notified with every change.
CHANNEL = "recommender_merchandising"
_MAX_SLOTS, _MAX_RULES = 100, 1000

M = TypeVar("M", Slot, Rule)

# Every change takes the next number, and so waits for the one before to end.
_ADVANCE = update(merchandising).values(number=merchandising.c.number + 1).returning(merchandising.c.number, func.pg_notify(CHANNEL, ""))
_NUMBER = select(merchandising.c.number)


@dataclass(frozen=True)
class _Statements:
    """The statements on one of the tables."""

    get: Executable
    list: Executable
    all: Executable
    count: Executable
    save: Executable
    delete: Executable

    @classmethod
    def on(cls, table: Table) -> "_Statements":
        id, page = bindparam("id", type_=Text), select(table).order_by(table.c.id)
        given = {"content": bindparam("content", type_=table.c.content.type), "number": bindparam("number")}
        saved = insert(table).values(id=id, **given)
        return cls(
            get=select(table).where(table.c.id == id),
            list=page.where(table.c.id > bindparam("after", type_=Text)).limit(bindparam("limit", type_=Integer)),
            all=page,
            count=select(func.count()).select_from(table),
            save=saved.on_conflict_do_update(
                index_elements=["id"], set_={**{name: saved.excluded[name] for name in given}, "update_time": func.now()}
            ).returning(*table.c),
            delete=delete(table).where(table.c.id == id),
        )


class MessageTable(Generic[M]):
    """Slots or rules, as messages of the contract."""

    def __init__(self, database: Database, kind: type[M], name: str, table: Table, limit: int) -> None:
        """name: what the contract calls one of them
        limit: how many there may be
        """
        self._database = database
        self._kind: type[M] = kind
        self._name = name
        self._limit = limit
        self._statements = _Statements.on(table)

    async def get(self, id: str) -> M | None:
        row = await self._database.fetch_row(self._statements.get, id=id)
        return None if row is None else self._message(row)

    async def page(self, after: str, limit: int) -> list[M]:
        """Those whose ids follow `after`, by id."""
        return [self._message(row) for row in await self._database.fetch(self._statements.list, after=after, limit=limit)]

    async def all(self) -> list[M]:
        return [self._message(row) for row in await self._database.fetch(self._statements.all)]

    async def replace(self, message: M) -> M:
        """Creates or replaces one. A repeated call changes nothing. Raises `Aborted` or `FailedPrecondition`."""
        wanted = self._kind()
        wanted.CopyFrom(message)
        wanted.ClearField("etag")
        wanted.ClearField("update_time")
        content = MessageToDict(wanted, preserving_proto_field_name=True)
        async with self._database.begin() as transaction:
            number = await transaction.fetch_value(_ADVANCE)
            row = await transaction.fetch_row(self._statements.get, id=message.id)
            if row is not None and row["content"] == content:
                return self._message(row)
            if message.etag and (row is None or message.etag != str(row["number"])):
                raise Aborted("STALE_ETAG", "the {resource} '{id}' was changed since it was read", resource=self._name, id=message.id)
            if row is None and await transaction.fetch_value(self._statements.count) >= self._limit:
                raise FailedPrecondition(
                    "LIMIT_REACHED", "there are {limit} {resource}s already, and no room for more", limit=self._limit, resource=self._name
                )
            [saved] = await transaction.fetch(self._statements.save, id=message.id, content=content, number=number)
            return self._message(saved)

    async def delete(self, id: str, check: Callable[[Transaction], Any] | None = None) -> None:
        """Deletes one, if it is there.

        check: raises if it may not be deleted
        """
        async with self._database.begin() as transaction:
            await transaction.fetch_value(_ADVANCE)
            if check:
                await check(transaction)
            await transaction.execute(self._statements.delete, id=id)

    def _message(self, row: Any) -> M:
        message: M = ParseDict(row["content"], self._kind())
        message.etag = str(row["number"])
        message.update_time.CopyFrom(timestamp(row["update_time"]))
        return message


_RULE_OF_SLOT = select(rules.c.id).where(rules.c.content["slot"].astext == bindparam("slot", type_=Text)).order_by(rules.c.id).limit(1)


class MerchandisingRepository:
    """Slots and rules, which change one after another."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.slots = MessageTable(database, Slot, "slot", slots, _MAX_SLOTS)
        self.rules = MessageTable(database, Rule, "rule", rules, _MAX_RULES)

    async def number(self) -> int:
        """The number of the last change."""
        return int(await self._database.fetch_value(_NUMBER))

    async def read(self) -> Merchandising:
        """All slots and rules."""
        return Merchandising(await self.slots.all(), await self.rules.all())

    async def delete_slot(self, id: str) -> None:
        """Deletes a slot, if it is there. Raises `FailedPrecondition` if a rule concerns it."""

        async def check(transaction: Transaction) -> None:
            if (rule_id := await transaction.fetch_value(_RULE_OF_SLOT, slot=id)) is not None:
                raise FailedPrecondition("SLOT_IN_USE", "the rule '{rule_id}' concerns the slot '{slot}'", rule_id=rule_id, slot=id)

        await self.slots.delete(id, check)
