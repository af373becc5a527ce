"""Finds what is wrong about experiments before they are kept and applied."""

from collections.abc import Collection

from hashiramart.recommender.v1 import merchandising_pb2
from mesh.errors import FieldViolation, InvalidArgument
from services.recommender.experiments import Experiment, as_sent
from services.recommender.products import Products
from services.recommender.rule_checks import rule_violations


def check_experiment(experiment: Experiment, slots: Collection[str], products: Products, champion: str = "") -> None:
    """Raises `InvalidArgument` with each field of an experiment whose treatment could not be applied.

    slots: the ids of all slots
    champion: the number of the champion, if it matters that the treatment is another version
    """
    violations = _version_violations(experiment, champion)
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


def _version_violations(experiment: Experiment, champion: str) -> list[FieldViolation]:
    """What is wrong about the versions of an experiment's arms. champion: as in `check_experiment`"""
    treatment, control = experiment.treatment_version, experiment.control_version
    if not treatment:
        return [FieldViolation("experiment.control_version", "takes a treatment_version to compare it with")] if control else []
    violations = []
    sent = as_sent(experiment)
    if sent.treatment != merchandising_pb2.Slot(id=sent.treatment.id):
        violations.append(FieldViolation("experiment.treatment", "must be the slot's id alone, as the arms differ by treatment_version"))
    if sent.treatment_rules:
        violations.append(FieldViolation("experiment.treatment_rules", "must be empty, as the arms differ by treatment_version"))
    if treatment == control:
        violations.append(FieldViolation("experiment.treatment_version", "is the version of the control"))
    elif not control and treatment == champion:
        violations.append(FieldViolation("experiment.treatment_version", "is the champion, and so is the control's"))
    return violations
