"""Every reason that the code gives is in a contract, and every one in a contract is given."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract import contracts

# How a refusal is raised, and which of its arguments is the reason.
REASON_FIRST = {
    "Aborted",
    "DeadlineExceeded",
    "FailedPrecondition",
    "Failure",
    "OutOfRange",
    "PermissionDenied",
    "StatusError",
    "ResourceExhausted",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
}
# Whose reasons may be given where, beside those that any RPC may give.
PARTS = {
    "mesh": [],
    "gateway": [],
    "services/auth": ["auth"],
    "services/catalog": ["catalog"],
    "services/forecaster": ["forecaster"],
    "services/models.py": ["model"],
    "services/recommender": ["recommender"],
}
# The same, where some are still to be given: models are not trained yet, and what can be wrong with raw data is told by the ETL.
GROWING = {"services/jobs": ["jobs"]}


@pytest.mark.parametrize("part", PARTS | GROWING)
def test_every_reason_that_is_given_is_in_the_contract(part: str) -> None:
    given = {reason for path in sources(part) for reason in reasons(path)}
    assert given
    assert given - declared("access", *(PARTS | GROWING)[part]) == set()


def test_every_reason_in_the_contract_is_given() -> None:
    """A reason of a service that is not among the parts is not looked at: the service is not there yet."""
    given = {reason for part in PARTS for path in sources(part) for reason in (*reasons(path), *texts(path))}
    promised = declared("access", *(package for packages in PARTS.values() for package in packages))
    assert promised - given == set()


def test_a_reason_says_its_status() -> None:
    codes = {"INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "ABORTED", "FAILED_PRECONDITION", "OUT_OF_RANGE", "UNAUTHENTICATED"}
    codes |= {"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "UNIMPLEMENTED", "INTERNAL"}
    values = [value for value in contracts.enum_values() if ".ErrorReason." in value.name and value.proto.number]
    assert [value.name for value in values if value.comment.split(":")[0] not in codes | {"Of a job"}] == []


def declared(*packages: str) -> set[str]:
    """The reasons in the contracts of these packages."""
    enums = {f"hashiramart.{package}.v1.ErrorReason" for package in packages}
    return {value.name for enum in contracts.enums() if enum.name in enums for value in enum.proto.value if value.number}


def sources(part: str) -> Iterator[Path]:
    path = contracts.ROOT / part
    return path.rglob("*.py") if path.is_dir() else iter([path])


def reasons(path: Path) -> Iterator[str]:
    """The reasons that a module gives, as far as it spells them out."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        said = [argument.value for argument in node.args if isinstance(argument, ast.Constant) and isinstance(argument.value, str)]
        # The gateway's own `error_status` takes a code, a reason and a message.
        if said and (name in REASON_FIRST or (name == "error_status" and len(node.args) == 3)):
            yield said[0]
        elif name == "NotFound" and said:
            yield said[0].upper().replace(" ", "_") + "_NOT_FOUND"
        elif name == "AlreadyExists" and said:
            yield said[0].upper() + "_EXISTS"
        elif name == "InvalidArgument":
            yield "INVALID_REQUEST"
        for keyword in node.keywords:
            if keyword.arg == "reason" and isinstance(keyword.value, ast.Constant):
                yield str(keyword.value.value)


def texts(path: Path) -> Iterator[str]:
    """Every text that a module spells out: a reason may also stand in a table."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
