"""Slots, merchandising rules, running experiments and shadows, and what they come to for one shopper at one time.

Their configuration is kept as the messages of the contract: what is written is what is served.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple, TypeAlias

from hashiramart.recommender.v1 import experiments_pb2, merchandising_pb2, shadows_pb2
from mesh.timestamps import to_datetime
from ml.experiments.assignment import Arm
from services.recommender.arrangement import Arrangement, Move, Pin, combine_moves
from services.recommender.experiments import arm_version, arm_versions

Slot: TypeAlias = merchandising_pb2.Slot
Rule: TypeAlias = merchandising_pb2.Rule
Shadow: TypeAlias = shadows_pb2.Shadow

_DEFAULT_STRENGTH = 2.0


class Shopper(NamedTuple):
    """What rules may ask of a shopper."""

    is_visitor: bool
    is_new: bool
    """Whether no event of theirs is known."""
    country: str
    """Empty if it is not known."""


class Merchandising:
    """The slots, rules, running experiments and shadows as they were last read."""

    def __init__(
        self,
        slots: Iterable[Slot] = (),
        rules: Iterable[Rule] = (),
        running: Iterable[experiments_pb2.Experiment] = (),
        shadows: Iterable[Shadow] = (),
    ) -> None:
        """running: the experiments that run, at most one in each slot"""
        self.slots: Mapping[str, Slot] = {slot.id: slot for slot in slots}
        self.rules: Mapping[str, Rule] = {rule.id: rule for rule in sorted(rules, key=lambda rule: rule.id)}
        self.shadows: Mapping[str, Shadow] = {shadow.id: shadow for shadow in shadows}
        self._by_slot: dict[str, list[_Applicable]] = {}
        for rule in self.rules.values():
            self._by_slot.setdefault(rule.slot, []).append(_Applicable.of(rule))
        self.running: Mapping[str, experiments_pb2.Experiment] = {experiment.treatment.id: experiment for experiment in running}
        self._treated = {slot: self.with_drafts(each.treatment_rules) for slot, each in self.running.items() if not each.treatment_version}
        self.versions = {*self.shadows, *(version for experiment in self.running.values() for version in arm_versions(experiment))}
        """The numbers of the versions that are needed besides the champion."""

    def arrangement(self, slot: Slot, shopper: Shopper, now: datetime) -> Arrangement:
        """How a slot arranges a list for a shopper. A slot without an id has the rules that concern all lists."""
        applicable = [*self._by_slot.get("", ()), *(self._by_slot.get(slot.id, ()) if slot.id else ())]
        rules = [each.rule for each in applicable if each.concerns(shopper, now)]
        if not rules:
            return Arrangement(max_per_category=slot.max_per_category, exploration_share=slot.exploration_share)
        rules.sort(key=lambda rule: rule.id)
        excluding = [rule for rule in rules if rule.action == merchandising_pb2.RULE_ACTION_EXCLUDE]
        pins = [Pin(rule.position, rule.product_id, rule.id) for rule in rules if rule.action == merchandising_pb2.RULE_ACTION_PIN]
        return Arrangement(
            sorted(pins, key=lambda pin: pin.position),
            _moves(rules, "product_id"),
            _moves(rules, "category"),
            {rule.product_id for rule in excluding if rule.product_id},
            {rule.category for rule in excluding if rule.category},
            slot.max_per_category,
            slot.exploration_share,
        )

    def arm(self, slot: Slot, arm: Arm) -> "ArmSettings":
        """What an arm of the experiment that runs in a slot has."""
        experiment = self.running[slot.id]
        if arm is Arm.TREATMENT and not experiment.treatment_version:
            return ArmSettings(experiment.treatment, self._treated[slot.id])
        return ArmSettings(slot, self, arm_version(experiment, arm))

    def with_drafts(self, rules: Iterable[Rule]) -> "Merchandising":
        """The same with further rules, or with rules in place of those with the same id."""
        return Merchandising(self.slots.values(), ({**self.rules, **{rule.id: rule for rule in rules}}).values())


class ArmSettings(NamedTuple):
    """What makes the lists of an arm of an experiment, or of those who take part in none."""

    slot: Slot
    merchandising: Merchandising
    version: str = ""
    """The version of the model; empty for the champion."""


class _Applicable(NamedTuple):
    """A rule with what decides whether it holds, read from its message once."""

    rule: Rule
    start_time: datetime | None
    end_time: datetime | None
    countries: Collection[str]

    @classmethod
    def of(cls, rule: Rule) -> "_Applicable":
        start = to_datetime(rule.start_time) if rule.HasField("start_time") else None
        end = to_datetime(rule.end_time) if rule.HasField("end_time") else None
        return cls(rule, start, end, frozenset(rule.audience.countries))

    def concerns(self, shopper: Shopper, now: datetime) -> bool:
        if (self.start_time and now < self.start_time) or (self.end_time and now >= self.end_time):
            return False
        if self.countries and shopper.country not in self.countries:
            return False
        match self.rule.audience.shoppers:
            case merchandising_pb2.SHOPPER_KIND_VISITORS:
                return shopper.is_visitor
            case merchandising_pb2.SHOPPER_KIND_NEW_VISITORS:
                return shopper.is_visitor and shopper.is_new
            case merchandising_pb2.SHOPPER_KIND_USERS:
                return not shopper.is_visitor
        return True


def _moves(rules: Iterable[Rule], target: str) -> dict[str, Move]:
    """What the rules do to ranks, by product or by category."""
    moves: dict[str, list[Move]] = {}
    for rule in rules:
        if rule.action in (merchandising_pb2.RULE_ACTION_BOOST, merchandising_pb2.RULE_ACTION_BURY) and (key := getattr(rule, target)):
            strength = rule.strength or _DEFAULT_STRENGTH
            divisor = strength if rule.action == merchandising_pb2.RULE_ACTION_BOOST else 1 / strength
            moves.setdefault(key, []).append(Move(divisor, rule.id))
    return {key: combine_moves(several) for key, several in moves.items()}
