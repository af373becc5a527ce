"""The named schemas of the OpenAPI document."""

from collections.abc import Callable

from google.protobuf.descriptor import Descriptor, EnumDescriptor

from gateway.rules import Json

_PREFIX = "#/components/schemas/"


def reference(name: str) -> Json:
    """A reference to the schema of this name."""
    return {"$ref": f"{_PREFIX}{name}"}


class Components:
    """Schemas by their names, which follow from the contracts' types."""

    def __init__(self) -> None:
        self.schemas: Json = {}
        self._names: dict[tuple[str, str], str] = {}

    def kinds(self) -> frozenset[str]:
        """The full names of the types that have a schema."""
        return frozenset(full_name for full_name, _ in self._names)

    def refer(self, kind: Descriptor | EnumDescriptor, suffix: str, make: Callable[[], Json]) -> Json:
        """A reference to the schema of a type, made when it is first referred to. A suffix sets the type's further schemas apart."""
        key = kind.full_name, suffix
        if key not in self._names:
            self._names[key] = name = self._free_name(kind, suffix)
            self.schemas[name] = {}  # A message may contain its own type.
            self.schemas[name].update(make())
        return reference(self._names[key])

    def add(self, name: str, schema: Json) -> Json:
        """Adds a schema under a name of its own, and returns a reference to it."""
        self.schemas[name] = schema
        return reference(name)

    def target(self, schema: Json) -> Json:
        """The schema that a reference leads to; any other schema itself."""
        target: Json = self.schemas[schema["$ref"].removeprefix(_PREFIX)] if "$ref" in schema else schema
        return target

    def _free_name(self, kind: Descriptor | EnumDescriptor, suffix: str) -> str:
        name = f"{kind.name}{suffix}"
        return f"{kind.full_name.split('.')[1].capitalize()}{name}" if name in self.schemas else name
