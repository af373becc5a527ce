"""Reads the Compose files as Docker does, without a Docker engine."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

FOLDER = Path(__file__).resolve().parents[2] / "compose"
STACKS = ("docker-compose-mlops.yml", "docker-compose-hadoop.yml")

Service = dict[str, Any]


@cache
def services(stack: str) -> dict[str, Service]:
    """The services of a file and of those it includes, by name, with the default of each variable."""
    content = _read(stack)
    included = {name: service for file in content.get("include", ()) for name, service in services(file).items()}
    return included | {name: _extend(service, stack) for name, service in content["services"].items()}


def _extend(service: Service, file: str) -> Service:
    """A service merged with the one that it extends."""
    base = service.get("extends")
    if base is None:
        return service
    reference = {"file": file, "service": base} if isinstance(base, str) else base
    return _merge(_extend(_read(reference["file"])["services"][reference["service"]], reference["file"]), service)


def _merge(below: Service, above: Service) -> Service:
    """A deep merge, in which `above` takes precedence."""
    both = {name: _merge(below[name], above[name]) for name in below.keys() & above.keys() if isinstance(below[name], dict)}
    return {**below, **above, **both}


@cache
def _read(file: str) -> dict[str, Any]:
    text = (FOLDER / file).read_text()
    text = re.sub(r"\$\{\w+:\+[^}]*\}", "", text)
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    content: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return content
