"""Every reason that the code gives is in a contract, and every one in a contract is given."""

import ast
import inspect
import re
import string
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from mesh import errors
from mesh.errors import StatusError
from tests.contract import contracts

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
# The same, where other programs give some: what is wrong with raw data is found by the ETL and the training.
GROWING = {"services/jobs": ["jobs"]}


CODES = {"INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "ABORTED", "FAILED_PRECONDITION", "OUT_OF_RANGE", "UNAUTHENTICATED"}
CODES |= {"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "UNIMPLEMENTED", "INTERNAL"}
# What the keywords of an error's class are, besides its metadata.
KEYWORDS = {"reason", "message", "field", "violations", "retry_after_seconds"}


class Raised(NamedTuple):
    """A place in the code where an error is made."""

    where: str
    code: str
    reason: str | None
    """None if the code does not spell it out here."""
    message: ast.expr | None
    """None if the class has the message."""
    keywords: set[str]
    """The metadata that is given."""


@pytest.mark.parametrize("part", PARTS | GROWING)
def test_every_reason_that_is_given_is_in_the_contract(part: str) -> None:
    given = {reason for path in sources(part) for reason in reasons(path)}
    assert given
    assert given - declared("access", *(PARTS | GROWING)[part]).keys() == set()


def test_every_reason_in_the_contract_is_given() -> None:
    """A reason of a service that is not among the parts is not looked at: the service is not there yet."""
    given = {reason for part in PARTS for path in sources(part) for reason in (*reasons(path), *texts(path))}
    promised = declared("access", *(package for packages in PARTS.values() for package in packages)).keys()
    assert promised - given == set()


def test_a_reason_says_its_status() -> None:
    values = [value for value in contracts.enum_values() if ".ErrorReason." in value.name and value.proto.number]
    assert [value.name for value in values if value.comment.split(":")[0] not in CODES | {"Of a job"}] == []


def test_a_reason_belongs_to_one_status() -> None:
    """In all contracts together: a client that knows the reason knows the status."""
    codes: dict[str, set[str]] = defaultdict(set)
    for value in contracts.enum_values():
        if ".ErrorReason." in value.name and value.proto.number:
            codes[value.proto.name] |= {word for word in re.findall("[A-Z_]{3,}(?=:)", value.comment) if word in CODES}
    assert {reason: found for reason, found in codes.items() if len(found) > 1} == {}


@pytest.mark.parametrize("part", PARTS | GROWING)
def test_a_reason_is_given_with_its_status(part: str) -> None:
    known = declared("access", *(PARTS | GROWING)[part])
    raised_here = [each for path in sources(part) for each in raised(path) if each.reason in known]
    assert [each.where for each in raised_here if each.code != known[str(each.reason)]] == []


@pytest.mark.parametrize("part", [part for part in PARTS | GROWING if part != "gateway"])
def test_what_a_message_says_is_in_the_metadata(part: str) -> None:
    """A message is a template, and its values are given by name."""
    found = [each for path in sources(part) for each in raised(path) if each.message]
    assert [each.where for each in found if isinstance(each.message, ast.JoinedStr | ast.BinOp | ast.Call)] == []
    for each in found:
        if isinstance(each.message, ast.Constant):
            names = {name for _, name, _, _ in string.Formatter().parse(str(each.message.value)) if name}
            assert names <= each.keywords | {"field"}, each.where


def declared(*packages: str) -> dict[str, str]:
    """The reasons in the contracts of these packages, with the status of each."""
    enums = {f"hashiramart.{package}.v1.ErrorReason" for package in packages}
    values = [value for value in contracts.enum_values() if value.name.rpartition(".")[0] in enums and value.proto.number]
    return {value.proto.name: value.comment.split(":")[0] for value in values}


def sources(part: str) -> Iterator[Path]:
    path = contracts.ROOT / part
    # Alembic alone can import its migrations.
    return (each for each in path.rglob("*.py") if "migrations" not in each.parts) if path.is_dir() else iter([path])


def reasons(path: Path) -> Iterator[str]:
    """The reasons that a module gives, as far as it spells them out."""
    yield from (each.reason for each in raised(path) if each.reason)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and called(node) in ("error_status", "Failure") and node.args:
            # The gateway's own `error_status` takes a code, a reason and a message; a job's `Failure` a reason first.
            reason = node.args[called(node) == "error_status"]
            if isinstance(reason, ast.Constant):
                yield str(reason.value)


def raised(path: Path) -> Iterator[Raised]:
    """The errors that a module makes, by their class or in a class of its own."""
    tree, module = ast.parse(path.read_text()), imported(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (kind := error_class(module, called(node))):
            yield error_made(path, node, kind, kind)
        elif isinstance(node, ast.ClassDef) and module is not errors and (kind := error_class(module, node.name)):
            calls = [call for call in ast.walk(node) if isinstance(call, ast.Call) and called(call) == "__init__"]
            yield from (error_made(path, call, kind, kind.__mro__[1]) for call in calls)


def error_made(path: Path, call: ast.Call, kind: type[StatusError], signature_of: type) -> Raised:
    keywords = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    bound = inspect.signature(signature_of).bind_partial(*call.args, **keywords)
    bound.apply_defaults()
    reason = bound.arguments.get("reason")
    resource = bound.arguments.get("resource")
    if isinstance(resource, ast.Constant):
        suffix = "NOT_FOUND" if issubclass(kind, errors.NotFound) else "EXISTS"
        reason = f"{str(resource.value).upper().replace(' ', '_')}_{suffix}"
    elif isinstance(reason, ast.Constant):
        reason = str(reason.value)
    return Raised(
        f"{path.relative_to(contracts.ROOT)}:{call.lineno}",
        kind.code.name,
        reason if isinstance(reason, str) else None,
        bound.arguments.get("message"),
        keywords.keys() - KEYWORDS,
    )


def error_class(module: ModuleType, name: str) -> type[StatusError] | None:
    """The class of an error that a module calls by this name, if it is one with a status."""
    found = getattr(module, name, None)
    return found if isinstance(found, type) and issubclass(found, StatusError) and hasattr(found, "code") else None


def imported(path: Path) -> ModuleType:
    parts = path.relative_to(contracts.ROOT).with_suffix("").parts
    return import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))


def called(call: ast.Call) -> str:
    """The last part of the name of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def texts(path: Path) -> Iterator[str]:
    """Every text that a module spells out: a reason may also stand in a table."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
