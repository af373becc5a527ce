"""How products are reordered, and the rules of that."""

from datetime import datetime
from typing import Any, NamedTuple, Self

from mesh.errors import Aborted, InvalidArgument

# The id in place of a product's of the policy for all products without their own.
DEFAULT_ID = "default"
_MIN_SERVICE_LEVEL = 50


class ReorderTerms(NamedTuple):
    """The editable fields of a policy."""

    lead_time_days: int = 7
    review_period_days: int = 7
    service_level_percent: float = 95.0
    order_multiple: int = 1
    on_order_units: int = 0

    def check(self) -> None:
        """Raises `InvalidArgument`. The upper limits are those of the contract."""
        for name in ("lead_time_days", "review_period_days", "order_multiple"):
            if getattr(self, name) < 1:
                raise InvalidArgument("{field} must be at least 1", field=f"policy.{name}")
        if self.service_level_percent < _MIN_SERVICE_LEVEL:
            raise InvalidArgument("a service level is at least {limit} %", field="policy.service_level_percent", limit=_MIN_SERVICE_LEVEL)


class StoredPolicy(NamedTuple):
    """A version of a policy."""

    product_id: str
    lead_time_days: int
    review_period_days: int
    service_level_percent: float
    order_multiple: int
    on_order_units: int
    update_time: datetime | None
    """None for the built-in default."""
    version: int
    """0 for a policy that is not stored."""

    @property
    def terms(self) -> ReorderTerms:
        return ReorderTerms(*self[1:6])

    @property
    def etag(self) -> str:
        return f"{self.version:x}"

    def update(self, etag: str, **terms: Any) -> Self:
        """A copy with other terms. Raises `Aborted` if `etag` is stale, `InvalidArgument` if the terms are wrong."""
        if etag and etag != self.etag:
            raise Aborted("STALE_ETAG", "the policy of '{id}' was changed since it was read", id=self.product_id)
        updated = self._replace(**terms)
        updated.terms.check()
        return updated


BUILT_IN = StoredPolicy(DEFAULT_ID, *ReorderTerms(), None, 0)
