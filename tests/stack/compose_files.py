"""The Compose files as an engine would read them, without one."""

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

FOLDER = Path(__file__).resolve().parents[2] / "compose"
STACKS = ("docker-compose-mlops.yml", "docker-compose-hadoop.yml")

Service = dict[str, Any]


def services(stack: str) -> dict[str, Service]:
    """The services that a file has or includes, by name, as they are without anything in the environment."""
    content = read(stack)
    included = {name: service for file in content.get("include", ()) for name, service in services(file).items()}
    return included | {name: extended(service, stack) for name, service in content["services"].items()}


def extended(service: Service, file: str) -> Service:
    """A service with what it extends."""
    base = service.get("extends")
    if base is None:
        return service
    named = {"file": file, "service": base} if isinstance(base, str) else base
    return merged(extended(read(named["file"])["services"][named["service"]], named["file"]), service)


def merged(below: Service, above: Service) -> Service:
    """What one says, where the other does not say otherwise."""
    both = {name: merged(below[name], above[name]) for name in below.keys() & above.keys() if isinstance(below[name], dict)}
    return {**below, **above, **both}


def read(file: str) -> dict[str, Any]:
    text = (FOLDER / file).read_text()
    text = re.sub(r"\$\{\w+:\+[^}]*\}", "", text)
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    content: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return content
