"""Checks slots' and rules' configuration when it is written, so that what is served can be applied."""

from collections.abc import Collection, Iterator

from hashiramart.recommender.v1 import merchandising_pb2
from mesh.errors import FieldViolation, InvalidArgument
from mesh.timestamps import to_datetime
from services.recommender.merchandising import Rule
from services.recommender.products import Products

_MOVES = (merchandising_pb2.RULE_ACTION_BOOST, merchandising_pb2.RULE_ACTION_BURY)


def check_rule(rule: Rule, slots: Collection[str], products: Products, prefix: str = "rule") -> None:
    """Raises `InvalidArgument` with each field of a rule that could not be applied.

    slots: the ids of all slots
    prefix: the path of the rule in the request
    """
    if violations := rule_violations(rule, slots, products, prefix):
        raise InvalidArgument("the rule '{rule_id}' could not be applied", violations=violations, rule_id=rule.id)


def rule_violations(rule: Rule, slots: Collection[str], products: Products, prefix: str) -> list[FieldViolation]:
    """Each field of a rule that could not be applied; the arguments are those of `check_rule`."""
    return [FieldViolation(f"{prefix}.{field}", description) for field, description in _violations(rule, slots, products)]


def _violations(rule: Rule, slots: Collection[str], products: Products) -> Iterator[tuple[str, str]]:
    is_pin = rule.action == merchandising_pb2.RULE_ACTION_PIN
    if rule.slot and rule.slot not in slots:
        yield "slot", "there is no such slot"
    if bool(rule.product_id) == bool(rule.category) or (is_pin and rule.category):
        yield "product_id", "a pin names a product, another rule a product or a category"
    if rule.product_id and products.get(rule.product_id) is None:
        yield "product_id", "the catalogue has no such product"
    if rule.category and not products.has_category(rule.category):
        yield "category", "the catalogue has no such category"
    if is_pin != bool(rule.position):
        yield "position", "is for a pin, which needs it"
    if rule.strength and (rule.action not in _MOVES or rule.strength <= 1):
        yield "strength", "is for a boost or a bury, and above 1"
    yield from _wrong_times(rule)


def _wrong_times(rule: Rule) -> Iterator[tuple[str, str]]:
    times = []
    for field in ("start_time", "end_time"):
        if rule.HasField(field):
            try:
                times.append(to_datetime(getattr(rule, field)))
            except ValueError:
                yield field, "is not a valid time"
    if len(times) == 2 and times[0] >= times[1]:
        yield "end_time", "must be after start_time"
