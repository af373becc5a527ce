"""Prints `docs/configuration.md`, the environment variables of every program: `python -m stack.configuration > docs/configuration.md`."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir
from typing import NamedTuple

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python
from pydantic_settings import BaseSettings

from gateway.settings import Settings as GatewaySettings
from lake.hadoop.kerberos import KerberosSettings
from mesh.settings import MeshSettings, ShopSettings
from ml.pipeline.settings import Settings as PipelineSettings
from services.auth.settings import Settings as AuthSettings
from services.catalog.settings import Settings as CatalogSettings
from services.forecaster.settings import Settings as ForecasterSettings
from services.jobs.settings import Settings as JobsSettings
from services.jobs.settings import WorkerSettings
from services.recommender.settings import Settings as RecommenderSettings
from spark.etl import EtlArguments
from spark.land import Landing
from stack.settings import ROOT
from stack.settings import Settings as StackSettings
from stack.variables import variables

HEAD = """\
# Configuration

Every program reads its settings from environment variables once, when it starts. This page is printed from the settings classes by
`python -m stack.configuration`.

On one machine, variables are set in the environment of `make` or in a file `.env` beside the Makefile; `make up` sets the addresses,
folders and secrets of the services itself. In containers they are set in `compose/.env`
([`.env.example`](../compose/.env.example)), and secrets are files in `compose/secrets/`.
The services, the gateway and the jobs worker read a variable that is missing or empty from a file of its name in the folder
`SECRETS_FOLDER`, by default `/run/secrets`. Lists and objects are JSON, durations are ISO 8601 (`P30D`).
"""


class Section(NamedTuple):
    """A section of the page."""

    title: str
    introduction: str
    settings: type[BaseSettings]


SECTIONS = (
    Section(
        "Local stack",
        "Read by `make up` and the other commands of the [stack on one machine](local.md). Ports are on 127.0.0.1.",
        StackSettings,
    ),
    Section("Services, gateway and jobs worker", "Read by each of them. Times are in seconds, addresses are `host:port`.", MeshSettings),
    Section("Shop", "Read by each service that needs them.", ShopSettings),
    Section("Gateway", "`python -m gateway`", GatewaySettings),
    Section("Auth", "`python -m services.auth`", AuthSettings),
    Section("Catalog", "`python -m services.catalog`", CatalogSettings),
    Section("Recommender", "`python -m services.recommender`", RecommenderSettings),
    Section("Forecaster", "`python -m services.forecaster`", ForecasterSettings),
    Section("Jobs", "`python -m services.jobs`", JobsSettings),
    Section("Jobs worker", "`python -m services.jobs.worker`", WorkerSettings),
    Section(
        "Secured Hadoop",
        "Read by jobs, the jobs worker and landing, which sign in to HDFS and YARN by [Kerberos](operations.md#a-cluster-with-kerberos).",
        KerberosSettings,
    ),
    Section("Landing", "`python -m spark.land`, also as arguments such as `--raw-root`", Landing),
    Section("ETL", "`spark/etl.py`; the jobs worker passes these as arguments such as `--raw-root`", EtlArguments),
    Section("Training pipeline", "Read by the stages of `dvc repro`.", PipelineSettings),
)


def page() -> str:
    """The page, as Markdown."""
    return "\n".join([HEAD, *(line for section in SECTIONS for line in _lines(section))]).rstrip() + "\n"


def _lines(section: Section) -> Iterator[str]:
    yield f"## {section.title}\n"
    yield f"{section.introduction}\n"
    yield "| variable | default | meaning |"
    yield "|---|---|---|"
    for variable in variables(section.settings):
        yield f"| `{variable.name}` | {_default(variable.field)} | {variable.description.replace('|', chr(92) + '|')} |"
    yield ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if default in (None, PydanticUndefined, "", ()):
        return ""
    if isinstance(default, Path):
        return _path(default)
    value = to_jsonable_python(default, fallback=str)
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _path(path: Path) -> str:
    """A default path, the same on every machine."""
    if path == Path(sys.executable):
        return "the running Python"
    if path == ROOT:
        return "the checkout"
    if path.is_relative_to(ROOT):
        return f"`{path.relative_to(ROOT)}`"
    temporary = Path(gettempdir())
    return f"`{path.relative_to(temporary)}` in the system's temporary folder" if path.is_relative_to(temporary) else f"`{path}`"


if __name__ == "__main__":
    sys.stdout.write(page())
