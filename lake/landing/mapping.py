"""A mapping file: which columns of a shop's files are which of a sale's, and which lines are sales."""

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lake.errors import LakeError
from lake.line_rules import LineRules

# The longest text of another parser in an error.
_QUOTED = 200

DateOrder = Literal["year first", "day first", "month first", "serial"]


class InvalidMapping(LakeError):
    """A mapping file is missing, or is not what its schema says."""


def _check_encoding(name: str) -> str:
    # Raises LookupError for an unknown encoding, which pydantic does not take for an invalid value.
    try:
        "".encode(name)
    except LookupError as error:
        raise ValueError("unknown encoding") from error
    return name


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError("unknown time zone") from error
    return name


class ColumnNames(BaseModel, extra="forbid", frozen=True):
    """The names that the shop's columns have; null for a column that the shop does not have."""

    invoice: str
    product: str
    description: str | None
    quantity: str
    time: str | tuple[str, ...] = Field(description="One column, or those of the date and the time of day.")
    price: str = Field(description="Of one unit.")
    customer: str | None
    country: str | None


class FileFormat(BaseModel, extra="forbid", frozen=True):
    """What is otherwise found by a look at the file."""

    encoding: Annotated[str, AfterValidator(_check_encoding)] | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    decimal: Literal[".", ","] | None = None
    dates: DateOrder | None = None
    time_zone: Annotated[str, AfterValidator(_check_zone)] | None = Field(
        None, description="The shop's time zone: times that are given with a zone become local. By default they stay as they are written."
    )


class Mapping(BaseModel, extra="forbid", frozen=True):
    """The content of a mapping file."""

    columns: ColumnNames | None = Field(None, description="By default found by common names.")
    rules: LineRules = LineRules()
    format: FileFormat = FileFormat()


def read_mapping(file: Path) -> Mapping:
    """The mapping in a YAML file. Raises `InvalidMapping` with the place and the reason."""
    try:
        return parse_mapping(file.read_text("utf-8"), file.name)
    except OSError as error:
        raise InvalidMapping(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InvalidMapping(f"{file.name} is not in UTF-8.") from error


def parse_mapping(text: str, name: str) -> Mapping:
    """The mapping in a text. Raises `InvalidMapping` with the place and the reason.

    name: what the text is called in the error
    """
    try:
        content = YAML(typ="safe").load(text)
    except YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f", line {place.line + 1}" if place else ""
        raise InvalidMapping(f"{name}{where} is not YAML.") from error
    except Exception as error:
        # YAML of which no value can be made, such as the 45th day of a month, thousands of digits or of brackets. ruamel raises what
        # Python raises then, of any class.
        raise InvalidMapping(f"{name} has a value that cannot be read: {str(error)[:_QUOTED]}.") from error
    try:
        return Mapping.model_validate(content)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, detail['loc'])) or 'the file'}: {detail['msg']}" for detail in error.errors()]
        raise InvalidMapping(f"{name} is no mapping: {'; '.join(faults)}.") from error
