"""Experiments between a slot as it is and as it might be, or between versions of the model: their states, and to which a list belongs.

Their configuration is kept as the messages of the contract, as that of slots and rules is.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias

from hashiramart.recommender.v1 import experiments_pb2
from mesh.errors import FailedPrecondition
from mesh.timestamps import timestamp
from ml.experiments.assignment import Arm, assign

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


def arm_version(experiment: Experiment, arm: Arm) -> str:
    """The version of the model that makes the lists of an arm; empty for the champion."""
    return experiment.treatment_version if arm is Arm.TREATMENT else experiment.control_version


def arm_versions(experiment: Experiment) -> set[str]:
    """The versions that an experiment needs besides the champion."""
    return {version for arm in Arm if (version := arm_version(experiment, arm))}


def as_sent(experiment: Experiment) -> Experiment:
    """An experiment with the fields alone that a request sets."""
    sent = Experiment()
    sent.CopyFrom(experiment)
    for field in ("state", "decision", "decision_reason", "champion_version", "start_time", "stop_time", "update_time", "etag"):
        sent.ClearField(field)
    sent.ClearField("promotion_pending")
    for part in (sent.treatment, *sent.treatment_rules):
        part.ClearField("update_time")
        part.ClearField("etag")
    return sent


def revise(present: Experiment | None, wanted: Experiment) -> Experiment:
    """An experiment as it is after a request to replace it.

    Raises `FailedPrecondition` if it is no draft any more, except for a `traffic_share` that grows while it runs.
    """
    if present is None or present.state == DRAFT:
        revision = as_sent(wanted)
        revision.state, revision.etag = DRAFT, wanted.etag
        return revision
    _require(present, (DRAFT, RUNNING))
    ramped = Experiment()
    ramped.CopyFrom(present)
    ramped.traffic_share = wanted.traffic_share
    if as_sent(ramped) != as_sent(wanted) or wanted.traffic_share < present.traffic_share:
        raise FailedPrecondition(
            "EXPERIMENT_STATE",
            "the experiment '{experiment_id}' is running: only its traffic_share can change, and only grow",
            experiment_id=present.id,
        )
    ramped.etag = wanted.etag
    return ramped


def start(present: Experiment, now: datetime, champion: str) -> Experiment:
    """Raises `FailedPrecondition` if it was stopped or concluded. champion: the number of the present one, for an experiment of versions"""
    _require(present, (DRAFT, RUNNING))
    if present.state == RUNNING:
        return present
    return _with_fields(present, state=RUNNING, start_time=timestamp(now), champion_version=champion)


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
    # The decision comes first, so that nobody decides otherwise while the version is being promoted.
    pending = decision == experiments_pb2.EXPERIMENT_DECISION_KEEP and bool(present.treatment_version)
    return _with_fields(present, state=CONCLUDED, decision=decision, decision_reason=reason, stop_time=stop_time, promotion_pending=pending)


def end_promotion(present: Experiment) -> Experiment:
    """A concluded experiment whose version was promoted."""
    promoted = Experiment()
    promoted.CopyFrom(present)
    promoted.promotion_pending = False
    return promoted


def require_not_running(present: Experiment) -> None:
    """Raises `FailedPrecondition` if it runs."""
    _require(present, (DRAFT, STOPPED, CONCLUDED))


def _with_fields(present: Experiment, **fields: object) -> Experiment:
    changed = Experiment()
    changed.CopyFrom(present)
    changed.MergeFrom(Experiment(**fields))  # type: ignore[arg-type]
    return changed


def _require(present: Experiment, states: Collection[int]) -> None:
    if present.state not in states:
        state = experiments_pb2.ExperimentState.Name(present.state).removeprefix("EXPERIMENT_STATE_").lower()
        raise FailedPrecondition("EXPERIMENT_STATE", "the experiment '{experiment_id}' is {state}", experiment_id=present.id, state=state)
