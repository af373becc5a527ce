"""Alembic's environment for the migrations of every service, run by `mesh.migrate` on a connection of its own."""

from collections.abc import Collection, Mapping
from typing import Any

import structlog
from alembic import context
from alembic.runtime.migration import MigrationContext, MigrationInfo

_log = structlog.get_logger("mesh.migrate")
_attributes = context.config.attributes


def _log_step(ctx: MigrationContext, step: MigrationInfo, heads: Collection[Any], run_args: Mapping[str, Any]) -> None:
    _log.info("migrated", service=_attributes["service"], revision=step.up_revision_id)


context.configure(
    connection=_attributes["connection"],
    version_table_schema=_attributes["service"],
    transactional_ddl=True,
    on_version_apply=_log_step,
)
context.run_migrations()
