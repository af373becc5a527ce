"""The queries on slots, rules, experiments and shadows."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeVar

from google.protobuf.json_format import MessageToDict, ParseDict
from sqlalchemy import Executable, Integer, Table, Text, bindparam, delete, func, select, union, update
from sqlalchemy.dialects.postgresql import insert

from hashiramart.recommender.v1 import experiments_pb2
from mesh.database import Database, Transaction
from mesh.errors import Aborted, FailedPrecondition, NotFound
from mesh.timestamps import timestamp
from services.recommender import experiments as states
from services.recommender.experiments import CONCLUDED, RUNNING, Decision, Experiment
from services.recommender.merchandising import Merchandising, Rule, Shadow, Slot
from services.recommender.tables import experiments, merchandising, participants, rules, shadows, slots

# Notified with every change.
CHANNEL = "recommender_merchandising"
_MAX_SLOTS, _MAX_RULES, _MAX_EXPERIMENTS = 100, 1000, 1000
_MAX_SHADOWS = 2
# In shadow and in experiments: the model of each is in the memory of each replica, beside that of the champion.
_MAX_VERSIONS = 4

M = TypeVar("M", Slot, Rule, Experiment, Shadow)

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


class MerchandisingChange(NamedTuple):
    """A transaction that changes slots, rules, experiments or shadows. The next one waits for its end."""

    transaction: Transaction
    number: int


@asynccontextmanager
async def begin_change(database: Database) -> AsyncIterator[MerchandisingChange]:
    """A change: committed at the end of the block, rolled back if the block raises."""
    async with database.begin() as transaction:
        yield MerchandisingChange(transaction, await transaction.fetch_value(_ADVANCE))


class MessageTable(Generic[M]):
    """Slots, rules, experiments or shadows, as messages of the contract."""

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

    async def all(self, statement: Executable | None = None) -> list[M]:
        """All of them, or the rows that a statement selects."""
        return [self._message(row) for row in await self._database.fetch(self._statements.all if statement is None else statement)]

    async def find(self, change: MerchandisingChange, id: str) -> M | None:
        """The one with an id, within a change."""
        row = await change.transaction.fetch_row(self._statements.get, id=id)
        return None if row is None else self._message(row)

    async def save(self, change: MerchandisingChange, message: M) -> M:
        """Creates or replaces one. If it is as it was, nothing changes. Raises `Aborted` or `FailedPrecondition`."""
        wanted = self._kind()
        wanted.CopyFrom(message)
        wanted.ClearField("etag")
        wanted.ClearField("update_time")
        content = MessageToDict(wanted, preserving_proto_field_name=True)
        transaction = change.transaction
        row = await transaction.fetch_row(self._statements.get, id=message.id)
        if row is not None and row["content"] == content:
            return self._message(row)
        if message.etag and (row is None or message.etag != str(row["number"])):
            raise Aborted("STALE_ETAG", "the {resource} '{id}' was changed since it was read", resource=self._name, id=message.id)
        if row is None and await transaction.fetch_value(self._statements.count) >= self._limit:
            raise FailedPrecondition(
                "LIMIT_REACHED", "there are {limit} {resource}s already, and no room for more", limit=self._limit, resource=self._name
            )
        [saved] = await transaction.fetch(self._statements.save, id=message.id, content=content, number=change.number)
        return self._message(saved)

    async def delete(self, change: MerchandisingChange, id: str) -> None:
        """Deletes one, if it is there."""
        await change.transaction.execute(self._statements.delete, id=id)

    def _message(self, row: Any) -> M:
        message: M = ParseDict(row["content"], self._kind())
        message.etag = str(row["number"])
        message.update_time.CopyFrom(timestamp(row["update_time"]))
        return message


_SLOT = bindparam("slot", type_=Text)
_RULE_OF_SLOT = select(rules.c.id).where(rules.c.content["slot"].astext == _SLOT).order_by(rules.c.id).limit(1)
_experiments_of_slot = select(experiments.c.id).where(experiments.c.content["treatment"]["id"].astext == _SLOT).order_by(experiments.c.id)
_state = experiments.c.content["state"].astext
_is_running = _state == experiments_pb2.ExperimentState.Name(RUNNING)
_RUNNING = select(experiments).where(_is_running).order_by(experiments.c.id)
_RUNNING_IN_SLOT = _experiments_of_slot.where(_is_running).limit(1)
_UNDECIDED_IN_SLOT = _experiments_of_slot.where(_state != experiments_pb2.ExperimentState.Name(CONCLUDED)).limit(1)
_VERSIONS = union(
    select(shadows.c.id), *(select(experiments.c.content[f"{arm}_version"].astext).where(_is_running) for arm in ("control", "treatment"))
)
_DELETE_PARTICIPANTS = delete(participants).where(participants.c.experiment_id == bindparam("experiment_id", type_=Text))


class MerchandisingRepository:
    """Slots, rules, experiments and shadows, which change one after another."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.slots = MessageTable(database, Slot, "slot", slots, _MAX_SLOTS)
        self.rules = MessageTable(database, Rule, "rule", rules, _MAX_RULES)
        self.experiments = MessageTable(database, Experiment, "experiment", experiments, _MAX_EXPERIMENTS)
        self.shadows = MessageTable(database, Shadow, "shadow", shadows, _MAX_SHADOWS)

    async def number(self) -> int:
        """The number of the last change."""
        return int(await self._database.fetch_value(_NUMBER))

    async def read(self) -> Merchandising:
        """All slots, rules, running experiments and shadows."""
        running = await self.experiments.all(_RUNNING)
        return Merchandising(await self.slots.all(), await self.rules.all(), running, await self.shadows.all())

    async def replace_slot(self, slot: Slot) -> Slot:
        """Creates or replaces a slot. Raises `Aborted`, `FailedPrecondition` also if an experiment runs in it."""
        async with begin_change(self._database) as change:
            await _require_no_experiment(change, slot.id)
            return await self.slots.save(change, slot)

    async def delete_slot(self, id: str) -> None:
        """Deletes a slot, if it is there. Raises `FailedPrecondition` if a rule or an experiment concerns it."""
        async with begin_change(self._database) as change:
            for statement, kind in ((_RULE_OF_SLOT, "rule"), (_UNDECIDED_IN_SLOT, "experiment")):
                if (user := await change.transaction.fetch_value(statement, slot=id)) is not None:
                    raise FailedPrecondition("SLOT_IN_USE", "the {kind} '{id}' concerns the slot '{slot}'", kind=kind, id=user, slot=id)
            await self.slots.delete(change, id)

    async def replace_rule(self, rule: Rule) -> Rule:
        """Creates or replaces a rule. Raises `Aborted` or `FailedPrecondition`."""
        async with begin_change(self._database) as change:
            return await self.rules.save(change, rule)

    async def delete_rule(self, id: str) -> None:
        """Deletes a rule, if it is there."""
        async with begin_change(self._database) as change:
            await self.rules.delete(change, id)

    async def replace_shadow(self, shadow: Shadow) -> Shadow:
        """Creates or replaces a shadow. Raises `Aborted` or `FailedPrecondition`."""
        async with begin_change(self._database) as change:
            saved = await self.shadows.save(change, shadow)
            await _require_room(change, set())
            return saved

    async def delete_shadow(self, id: str) -> None:
        """Deletes a shadow, if it is there."""
        async with begin_change(self._database) as change:
            await self.shadows.delete(change, id)

    async def replace_experiment(self, experiment: Experiment) -> Experiment:
        """Creates or replaces an experiment. Raises `Aborted` or `FailedPrecondition`."""
        async with begin_change(self._database) as change:
            present = await self.experiments.find(change, experiment.id)
            return await self.experiments.save(change, states.revise(present, experiment))

    async def delete_experiment(self, id: str) -> None:
        """Deletes an experiment, if it is there, and who took part in it. Raises `FailedPrecondition` if it runs."""
        async with begin_change(self._database) as change:
            if (present := await self.experiments.find(change, id)) is not None:
                states.require_not_running(present)
                await self.experiments.delete(change, id)
                await change.transaction.execute(_DELETE_PARTICIPANTS, experiment_id=id)

    async def start_experiment(self, id: str, champion: str) -> Experiment:
        """Raises `NotFound`, `FailedPrecondition`. champion: the number of the present one, for an experiment of versions"""
        async with begin_change(self._database) as change:
            present = await self._experiment(change, id)
            running = states.start(present, datetime.now(UTC), champion)
            if running is not present:
                await _require_no_experiment(change, present.treatment.id)
                await _require_room(change, states.arm_versions(present))
                # Those of an earlier experiment with this id, whose last lists were logged after it was deleted.
                await change.transaction.execute(_DELETE_PARTICIPANTS, experiment_id=id)
            return await self.experiments.save(change, running)

    async def stop_experiment(self, id: str) -> Experiment:
        """Raises `NotFound`, `FailedPrecondition`."""
        async with begin_change(self._database) as change:
            return await self.experiments.save(change, states.stop(await self._experiment(change, id), datetime.now(UTC)))

    async def conclude_experiment(self, id: str, decision: Decision, reason: str) -> Experiment:
        """Ends an experiment; the slot and rules become those of the treatment, if it is kept. Raises `NotFound`, `FailedPrecondition`."""
        async with begin_change(self._database) as change:
            present = await self._experiment(change, id)
            over = states.conclude(present, decision, reason, datetime.now(UTC))
            keeps = over is not present and decision == experiments_pb2.EXPERIMENT_DECISION_KEEP
            if keeps and not over.treatment_version:
                await self.slots.save(change, over.treatment)
                for rule in over.treatment_rules:
                    await self.rules.save(change, rule)
            return await self.experiments.save(change, over)

    async def end_promotion(self, id: str) -> Experiment:
        """Records that the version of a concluded experiment was promoted. Raises `NotFound`."""
        async with begin_change(self._database) as change:
            return await self.experiments.save(change, states.end_promotion(await self._experiment(change, id)))

    async def _experiment(self, change: MerchandisingChange, id: str) -> Experiment:
        if (experiment := await self.experiments.find(change, id)) is None:
            raise NotFound("experiment", id)
        return experiment


async def _require_no_experiment(change: MerchandisingChange, slot: str) -> None:
    """Raises `FailedPrecondition` if an experiment runs in a slot."""
    if (experiment_id := await change.transaction.fetch_value(_RUNNING_IN_SLOT, slot=slot)) is not None:
        raise FailedPrecondition(
            "EXPERIMENT_RUNNING",
            "the experiment '{experiment_id}' runs in the slot '{slot}'",
            experiment_id=experiment_id,
            slot=slot,
        )


async def _require_room(change: MerchandisingChange, wanted: Collection[str]) -> None:
    """Raises `FailedPrecondition` if there would be too many versions beside the champion. wanted: besides those that there are"""
    loaded = {row[0] for row in await change.transaction.fetch(_VERSIONS) if row[0]}
    if len(loaded.union(wanted)) > _MAX_VERSIONS:
        raise FailedPrecondition(
            "LIMIT_REACHED",
            "at most {limit} {resource} are in shadow and in running experiments together, and {versions} are",
            limit=_MAX_VERSIONS,
            resource="versions",
            versions=", ".join(sorted(loaded)),
        )
