"""Stores the policies of reordering."""

from collections.abc import Awaitable, Callable

from sqlalchemy import Integer, Text, bindparam, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from hashiramart.forecaster.v1 import reorder_pb2
from mesh.database import Database, Transaction
from mesh.errors import NotFound
from mesh.idempotency import IdempotentRequest
from services.forecaster.reorder_policies import BUILT_IN, DEFAULT_ID, ReorderTerms, StoredPolicy
from services.forecaster.tables import reorder_policies as policies
from services.forecaster.tables import requests

_POLICY = [policies.c[field] for field in StoredPolicy._fields]
_ALL = select(*_POLICY)
_GET = _ALL.where(policies.c.product_id == bindparam("product_id", type_=Text))
_DEFAULT = _ALL.where(policies.c.product_id == DEFAULT_ID)
_PAGE = (
    _ALL.where(policies.c.product_id != DEFAULT_ID, policies.c.product_id > bindparam("after", type_=Text))
    .order_by(policies.c.product_id)
    .limit(bindparam("limit", type_=Integer))
)
_OF_ONE_OR_DEFAULT = _ALL.where(or_(policies.c.product_id == bindparam("product_id", type_=Text), policies.c.product_id == DEFAULT_ID))
# Writers take turns: there may be no row yet that they could lock.
_LOCK = select(func.pg_advisory_xact_lock(func.hashtext("forecaster_reorder_policies")))
_TERMS = {field: bindparam(field, type_=policies.c[field].type) for field in ReorderTerms._fields}
_insert = insert(policies).values(product_id=bindparam("product_id"), **_TERMS, update_time=func.clock_timestamp(), version=1)
_SAVE = _insert.on_conflict_do_update(
    index_elements=[policies.c.product_id],
    set_={
        **{field: _insert.excluded[field] for field in ReorderTerms._fields},
        "update_time": func.clock_timestamp(),
        "version": policies.c.version + 1,
    },
).returning(*_POLICY)
_DELETE = delete(policies).where(policies.c.product_id == bindparam("product_id", type_=Text))

Carried = Callable[[Transaction], Awaitable[reorder_pb2.ReorderPolicy]]


class ReorderPolicyRepository:
    """The policies."""

    def __init__(self, database: Database, message: Callable[[StoredPolicy], reorder_pb2.ReorderPolicy]) -> None:
        """message: a policy as it is answered, which is kept for repeated requests"""
        self._database = database
        self._message = message

    async def default(self) -> StoredPolicy:
        """The policy of products without their own."""
        row = await self._database.fetch_row(_DEFAULT)
        return StoredPolicy(*row) if row else BUILT_IN

    async def page(self, after: str, limit: int) -> list[StoredPolicy]:
        """The next policies of products. after: the product before the first one"""
        return [StoredPolicy(*row) for row in await self._database.fetch(_PAGE, after=after, limit=limit)]

    async def all(self) -> dict[str, StoredPolicy]:
        """All policies by product, also the default."""
        stored = {policy.product_id: policy for policy in (StoredPolicy(*row) for row in await self._database.fetch(_ALL))}
        return {DEFAULT_ID: BUILT_IN, **stored}

    async def update(
        self, product_id: str, apply: Callable[[StoredPolicy], StoredPolicy], request: IdempotentRequest | None
    ) -> reorder_pb2.ReorderPolicy:
        """Saves what `apply` returns for the product's policy, or for the default as its own."""

        async def carry_out(transaction: Transaction) -> reorder_pb2.ReorderPolicy:
            rows = await transaction.fetch(_OF_ONE_OR_DEFAULT, product_id=product_id)
            found = {policy.product_id: policy for policy in (StoredPolicy(*row) for row in rows)}
            default = found.get(DEFAULT_ID, BUILT_IN)
            current = found.get(product_id) or default._replace(product_id=product_id, version=0)
            changed = apply(current)
            if changed == current and current.version:
                return self._message(current)
            [row] = await transaction.fetch(_SAVE, product_id=product_id, **changed.terms._asdict())
            return self._message(StoredPolicy(*row))

        return await self._once(request, carry_out)

    async def delete(self, product_id: str, etag: str, request: IdempotentRequest | None) -> reorder_pb2.ReorderPolicy:
        """Deletes a policy, and returns it as it was. Raises `NotFound`, `Aborted` if `etag` is stale."""

        async def carry_out(transaction: Transaction) -> reorder_pb2.ReorderPolicy:
            row = await transaction.fetch_row(_GET, product_id=product_id)
            if row is None:
                raise NotFound("reorder policy", product_id)
            policy = StoredPolicy(*row).update(etag)
            await transaction.execute(_DELETE, product_id=product_id)
            return self._message(policy)

        return await self._once(request, carry_out)

    async def _once(self, request: IdempotentRequest | None, carry_out: Carried) -> reorder_pb2.ReorderPolicy:
        async def write(transaction: Transaction) -> reorder_pb2.ReorderPolicy:
            await transaction.fetch(_LOCK)
            return await carry_out(transaction)

        return await requests.once(self._database, request, reorder_pb2.ReorderPolicy, write)
