"""Compiles statements of SQLAlchemy Core to what asyncpg runs: SQL text and positional arguments."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import ClauseElement, Executable, UpdateBase
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql import visitors
from sqlalchemy.sql.compiler import SQLCompiler

_DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class CompiledStatement:
    """A statement, ready for any number of executions."""

    text: str
    operation: str
    """The first word: SELECT, INSERT, ..."""
    is_read: bool
    """Whether it changes nothing, and may therefore be repeated."""
    order: tuple[str, ...]
    """The names of the parameters `$1`, `$2`, ..."""
    names: frozenset[str]
    constants: dict[str, object]
    """The values of the parameters that the statement itself gives."""
    processors: Mapping[str, Callable[[object], object]]
    """By parameter, what converts its values to what asyncpg takes."""

    def arguments(self, parameters: Mapping[str, object]) -> list[object]:
        """The positional arguments for these parameters. Raises `TypeError` if one is missing or unknown."""
        values = {**self.constants, **parameters}
        if values.keys() != self.names:
            raise TypeError(f"the statement takes {sorted(self.names - self.constants.keys())}, and was given {sorted(parameters)}")
        if not self.processors:
            return [values[name] for name in self.order]
        return [self.processors[name](values[name]) if name in self.processors else values[name] for name in self.order]


@lru_cache(maxsize=1024)
def compile_statement(statement: Executable) -> CompiledStatement:
    """Compiles a statement, once per object. Raises `TypeError` for what asyncpg or the cache could not do justice to."""
    compiled = statement.compile(dialect=_DIALECT) if isinstance(statement, ClauseElement) else None
    if not isinstance(compiled, SQLCompiler):
        raise TypeError(f"{statement!r} is not a statement that takes parameters")
    if compiled.post_compile_params:
        raise TypeError("a list goes in as one array: any_(bindparam(..., type_=ARRAY(...))) in place of in_(...)")
    if compiled.insert_prefetch or compiled.update_prefetch:
        raise TypeError("a column's default is the server's: use server_default, or give the value")
    text = str(compiled)
    order = tuple(compiled.positiontup or ())
    processors = {name: bind.type.dialect_impl(_DIALECT).bind_processor(_DIALECT) for bind, name in compiled.bind_names.items()}
    return CompiledStatement(
        text=text,
        operation=text.split(maxsplit=1)[0].upper(),
        is_read=statement.is_select and not any(isinstance(part, UpdateBase) for part in visitors.iterate(compiled.statement)),
        order=order,
        names=frozenset(order),
        constants={name: bind.effective_value for bind, name in compiled.bind_names.items() if not bind.required},
        processors={name: processor for name, processor in processors.items() if processor},
    )
