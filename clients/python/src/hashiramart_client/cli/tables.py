"""Messages as tables and lines of text, with columns by the types of their fields."""

import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from hashiramart_client.cli.rpcs import is_map, short_names

_GAP = 2
# How wide the texts of a column are at most while other columns need the room.
_TEXT_WIDTH = 32
# Without a terminal there is no edge to keep to.
_UNLIMITED = 10_000
_NAMES = {"id", "name", "number", "version", "date", "rank"}
_GOOGLE = "google.protobuf."
_TIMESTAMP = f"{_GOOGLE}Timestamp"


@dataclass(frozen=True)
class Column:
    """A field of a message, or of a message inside of it."""

    path: tuple[str, ...]
    field: FieldDescriptor

    @property
    def title(self) -> str:
        return ".".join(self.path)

    @property
    def importance(self) -> int:
        """What names a thing comes before what it is, then what belongs to it, then times and lists."""
        if self.path[-1] in _NAMES:
            return 0
        if self.field.message_type and (self.field.message_type.full_name == _TIMESTAMP or self.field.is_repeated):
            return 3
        return 1 if len(self.path) == 1 else 2

    def text(self, message: dict[str, Any]) -> str:
        value: Any = message
        for name in self.path:
            value = (value or {}).get(name)
        return cell(self.field, value)


def columns(message: Descriptor, outer: tuple[str, ...] = ()) -> Iterator[Column]:
    """The columns of a message: its values, and those of the messages inside. Lists of messages have tables of their own."""
    for field in message.fields:
        kind = field.message_type
        if field.name == "etag" or is_map(field):
            continue
        if kind is None or kind.full_name.startswith(_GOOGLE):
            yield Column((*outer, field.name), field)
        elif not field.is_repeated and len(outer) < 2:
            yield from columns(kind, (*outer, field.name))


def cell(field: FieldDescriptor, value: Any) -> str:
    """A value as one line of text, without what could steer a terminal."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ("; " if _is_list_of_messages(field) else ", ").join(cell(field, each) for each in value)
    if field.message_type and isinstance(value, dict) and _is_list_of_messages(field):
        return " ".join(text for column in columns(field.message_type) if (text := column.text(value)))
    if field.enum_type:
        names = {name: short for short, name in short_names(field.enum_type).items()}
        short = names.get(value, str(value))
        return "" if short == "unspecified" else short
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if field.message_type and field.message_type.full_name == _TIMESTAMP:
        return re.sub(r"\.\d+Z$", "Z", value)
    return "".join(letter if letter.isprintable() else " " for letter in str(value))


def print_rows(message: Descriptor, rows: list[dict[str, Any]]) -> None:
    """Prints messages as a table that is as wide as the terminal at most."""
    limit = _width()
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold", show_edge=False)
    lists = [Column((field.name,), field) for field in message.fields if _is_list_of_messages(field)]
    filled = [column for column in (*columns(message), *lists) if any(column.text(row) for row in rows)]
    names = Counter(column.path[-1] for column in filled)
    titles = {column: column.path[-1] if names[column.path[-1]] == 1 else column.title for column in filled}
    widths = _widths({column: [titles[column], *(column.text(row) for row in rows)] for column in filled}, limit)
    for column, width in widths.items():
        justify: Any = "right" if _is_number(column.field) else "left"
        table.add_column(titles[column].upper(), no_wrap=True, overflow="ellipsis", justify=justify, width=width)
    for row in rows:
        table.add_row(*(column.text(row) for column in widths))
    Console(width=limit, markup=False, highlight=False, emoji=False).print(table)


def _widths(texts: dict[Column, list[str]], limit: int) -> dict[Column, int]:
    """The columns that fit into a line, in their order, and how wide each is.

    texts: the title and the cells of each column
    """
    needed = {column: max(map(cell_len, cells)) for column, cells in texts.items()}
    widths: dict[Column, int] = {}
    for column in sorted(texts, key=lambda column: column.importance + _is_constant(texts[column][1:])):
        width = min(needed[column], max(_TEXT_WIDTH, cell_len(texts[column][0])))
        if sum(widths.values()) + _GAP * len(widths) + width <= limit:
            widths[column] = width
    left = limit - sum(widths.values()) - _GAP * max(len(widths) - 1, 0)
    for column in [column for column in texts if column in widths]:
        more = min(left, needed[column] - widths[column])
        widths[column], left = widths[column] + more, left - more
    return {column: widths[column] for column in texts if column in widths}


def print_message(message: Descriptor, value: dict[str, Any]) -> None:
    """Prints the values of a message line by line, and each list of messages in it as a table."""
    lines = [(column.title, text) for column in columns(message) if (text := column.text(value)) and column.path[-1] != "next_page_token"]
    lines += [(f"{name}.{key}", cell(field, each)) for name, field, entries in _maps(message, value, "") for key, each in entries.items()]
    width = max((cell_len(name) for name, _ in lines), default=0) + _GAP
    for name, text in lines:
        print(f"{name:<{width}}{text}")
    lists = list(_lists(message, value, ""))
    for at, (name, kind, rows) in enumerate(lists):
        if lines or len(lists) > 1:
            print(f"{name}:" if at == 0 and not lines else f"\n{name}:")
        print_rows(kind, rows)
    if not lines and not lists:
        print("nothing", file=sys.stderr)


def line(message: Descriptor, value: dict[str, Any]) -> str:
    """A message as one line: its texts and times, and with their names those that are numbers or yes or no, unless they are zero or no."""
    texts = ((column, text) for column in columns(message) if (text := column.text(value)))
    return "  ".join(
        f"{column.path[-1]}={text}" if _is_number(column.field) or column.field.type == FieldDescriptor.TYPE_BOOL else text
        for column, text in texts
        if text not in ("0", "no")
    )


def _is_constant(cells: list[str]) -> bool:
    """Whether all of several rows say the same."""
    return len(cells) > 1 and len(set(cells)) == 1


def _maps(message: Descriptor, value: dict[str, Any], outer: str) -> Iterator[tuple[str, FieldDescriptor, dict[str, Any]]]:
    for field in message.fields:
        inner = value.get(field.name)
        if inner and is_map(field) and field.message_type:
            yield outer + field.name, field.message_type.fields_by_name["value"], inner
        elif inner and field.message_type and not field.is_repeated and not field.message_type.full_name.startswith(_GOOGLE):
            yield from _maps(field.message_type, inner, f"{outer}{field.name}.")


def _lists(message: Descriptor, value: dict[str, Any], outer: str) -> Iterable[tuple[str, Descriptor, list[dict[str, Any]]]]:
    for field in message.fields:
        inner, kind = value.get(field.name), field.message_type
        if not inner or kind is None or is_map(field) or kind.full_name.startswith(_GOOGLE):
            continue
        if _is_list_of_messages(field):
            yield outer + field.name, kind, inner
        else:
            yield from _lists(kind, inner, f"{outer}{field.name}.")


def _is_list_of_messages(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return bool(kind and field.is_repeated and not is_map(field) and not kind.full_name.startswith(_GOOGLE))


def _is_number(field: FieldDescriptor) -> bool:
    return not field.is_repeated and field.cpp_type in {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
        FieldDescriptor.CPPTYPE_DOUBLE,
        FieldDescriptor.CPPTYPE_FLOAT,
    }


def _width() -> int:
    return shutil.get_terminal_size((_UNLIMITED, 24)).columns
