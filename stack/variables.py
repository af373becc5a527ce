"""The environment variables that a settings class reads, as data."""

from collections.abc import Iterator
from typing import NamedTuple

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings


class Variable(NamedTuple):
    """An environment variable, and the field that it sets."""

    name: str
    field: FieldInfo

    @property
    def description(self) -> str:
        """The field's docstring in one line."""
        return " ".join((self.field.description or "").split())


def variables(settings: type[BaseSettings]) -> Iterator[Variable]:
    """The variables of a settings class, in the order of its fields."""
    for name, field in settings.model_fields.items():
        alias = field.validation_alias
        yield Variable(alias if isinstance(alias, str) else f"{settings.model_config['env_prefix']}{name}".upper(), field)
