"""Experiments between a slot as it is and as it might be: their states, and which of them a list belongs to.

Their configuration is kept as the messages of the contract, as that of slots and rules is.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias

from hashiramart.recommender.v1 import experiments_pb2
from mesh.errors import FailedPrecondition, FieldViolation, InvalidArgument
from mesh.timestamps import timestamp
from ml.experiments.assignment import Arm, assign
from services.recommender.products import Products
from services.recommender.rule_checks import rule_violations

Experiment: TypeAlias = experiments_pb2.Experiment
Decision: TypeAlias = experiments_pb2.ExperimentDecision.ValueType

DRAFT, RUNNING = experiments_pb2.EXPERIMENT_STATE_DRAFT, experiments_pb2.EXPERIMENT_STATE_RUNNING
STOPPED, CONCLUDED = experiments_pb2.EXPERIMENT_STATE_STOPPED, experiments_pb2.EXPERIMENT_STATE_CONCLUDED

_DEFAULT_TREATMENT_SHARE = 0.5
_DEFAULT_WINDOW = timedelta(days=7)


class Participation(NamedTuple):
    """The arm of an experiment that a list belongs to."""

    experiment_id: str
    arm: Arm


def participation(experiment: Experiment, subject: str) -> Participation | None:
    """Which arm of a running experiment a subject is in; None for one who takes no part."""
    arm = assign(experiment.id, subject, experiment.traffic_share, treatment_share(experiment))
    return None if arm is None else Participation(experiment.id, arm)


def treatment_share(experiment: Experiment) -> float:
    """The share of those who take part who get the treatment."""
    return experiment.treatment_share or _DEFAULT_TREATMENT_SHARE


def outcome_window(experiment: Experiment) -> timedelta:
    """For how long from the first list on a shopper's purchases count."""
    return timedelta(seconds=experiment.outcome_window_seconds) or _DEFAULT_WINDOW


def check_experiment(experiment: Experiment, slots: Collection[str], products: Products) -> None:
    """Raises `InvalidArgument` with each field of an experiment whose treatment could not be applied. slots: the ids of all slots"""
    violations = []
    if experiment.treatment.id not in slots:
        violations.append(FieldViolation("experiment.treatment.id", "there is no such slot"))
    seen = set()
    for index, rule in enumerate(experiment.treatment_rules):
        prefix = f"experiment.treatment_rules[{index}]"
        violations += rule_violations(rule, slots, products, prefix)
        if rule.slot != experiment.treatment.id:
            violations.append(FieldViolation(f"{prefix}.slot", "must be the slot of the experiment"))
        if rule.id in seen:
            violations.append(FieldViolation(f"{prefix}.id", "is that of an earlier rule"))
        seen.add(rule.id)
    if violations:
        raise InvalidArgument("the experiment '{experiment_id}' could not be applied", violations=violations, experiment_id=experiment.id)


def revise(present: Experiment | None, wanted: Experiment) -> Experiment:
    """An experiment as it is after a request to replace it.

    Raises `FailedPrecondition` if it is no draft any more, except for a `traffic_share` that grows while it runs.
    """
    if present is None or present.state == DRAFT:
        revision = _as_sent(wanted)
        revision.state, revision.etag = DRAFT, wanted.etag
        return revision
    _require(present, (DRAFT, RUNNING))
    ramped = Experiment()
    ramped.CopyFrom(present)
    ramped.traffic_share = wanted.traffic_share
    if _as_sent(ramped) != _as_sent(wanted) or wanted.traffic_share < present.traffic_share:
        raise FailedPrecondition(
            "EXPERIMENT_STATE",
            "the experiment '{experiment_id}' is running: only its traffic_share can change, and only grow",
            experiment_id=present.id,
        )
    ramped.etag = wanted.etag
    return ramped


def start(present: Experiment, now: datetime) -> Experiment:
    """Raises `FailedPrecondition` if it was stopped or concluded."""
    _require(present, (DRAFT, RUNNING))
    return present if present.state == RUNNING else _with_fields(present, state=RUNNING, start_time=timestamp(now))


def stop(present: Experiment, now: datetime) -> Experiment:
    """Raises `FailedPrecondition` if it was never started, or is concluded."""
    _require(present, (RUNNING, STOPPED))
    return present if present.state == STOPPED else _with_fields(present, state=STOPPED, stop_time=timestamp(now))


def conclude(present: Experiment, decision: Decision, reason: str, now: datetime) -> Experiment:
    """Raises `FailedPrecondition` if it was never started, or was concluded otherwise."""
    if present.state == CONCLUDED and present.decision == decision:
        return present
    _require(present, (RUNNING, STOPPED))
    stop_time = present.stop_time if present.state == STOPPED else timestamp(now)
    return _with_fields(present, state=CONCLUDED, decision=decision, decision_reason=reason, stop_time=stop_time)


def require_not_running(present: Experiment) -> None:
    """Raises `FailedPrecondition` if it runs."""
    _require(present, (DRAFT, STOPPED, CONCLUDED))


def _with_fields(present: Experiment, **fields: object) -> Experiment:
    changed = Experiment()
    changed.CopyFrom(present)
    changed.MergeFrom(Experiment(**fields))  # type: ignore[arg-type]
    return changed


def _as_sent(experiment: Experiment) -> Experiment:
    """The fields that a request sets."""
    sent = Experiment()
    sent.CopyFrom(experiment)
    for field in ("state", "decision", "decision_reason", "start_time", "stop_time", "update_time", "etag"):
        sent.ClearField(field)
    for part in (sent.treatment, *sent.treatment_rules):
        part.ClearField("update_time")
        part.ClearField("etag")
    return sent


def _require(present: Experiment, states: Collection[int]) -> None:
    if present.state not in states:
        state = experiments_pb2.ExperimentState.Name(present.state).removeprefix("EXPERIMENT_STATE_").lower()
        raise FailedPrecondition("EXPERIMENT_STATE", "the experiment '{experiment_id}' is {state}", experiment_id=present.id, state=state)
