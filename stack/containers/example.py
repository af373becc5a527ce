"""Writes `compose/.env.example` from the code's settings: `python -m stack.containers.example`.

It names what one may choose of the settings that the Compose files hand on, with what the code says of each and its default there.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic_core import PydanticUndefined, to_jsonable_python
from pydantic_settings import BaseSettings

from gateway.settings import Settings as GatewaySettings
from mesh.settings import MeshSettings
from services.auth.settings import Settings as AuthSettings
from services.catalog.settings import Settings as CatalogSettings
from services.forecaster.settings import Settings as ForecasterSettings
from services.jobs.settings import Settings as JobsSettings
from services.jobs.settings import WorkerSettings
from services.recommender.settings import Settings as RecommenderSettings
from stack.settings import Settings as StackSettings

FOLDER = Path(__file__).resolve().parents[2] / "compose"
FILES = tuple(FOLDER / name for name in ("common.yml", "core.yml", "docker-compose-mlops.yml", "docker-compose-hadoop.yml"))
OF_PROCESSES: tuple[type[BaseSettings], ...] = (
    MeshSettings,
    GatewaySettings,
    AuthSettings,
    CatalogSettings,
    RecommenderSettings,
    ForecasterSettings,
    JobsSettings,
    WorkerSettings,
)
HEAD = """\
# What one may choose of the two stacks. `make env` makes a .env of it, and the secrets in secrets/; run it again after a change here.
# Written from the code's settings by `python -m stack.containers.example`: a line that begins with # shows the default.

# The engines of our own that are started: `make env` leaves out those that something of yours takes the place of.
COMPOSE_PROFILES=postgres,minio,hadoop
# Each stack has containers that the other does not know.
COMPOSE_IGNORE_ORPHANS=true
"""
OF_HTTPS = (
    "A folder with the certificate and the key by which the gateway serves HTTPS. It is /run/https in its container, and without one the "
    "installation's own certificate is there: GATEWAY_TLS_CERTIFICATE=/run/https/tls.crt, GATEWAY_TLS_KEY=/run/https/tls.key."
)
OF_CLUSTERS = (
    "The folder of the configuration of an HDFS and a YARN to use, where /hashiramart is ours to write, and whose nodes have Java 17 and "
    "Python 3.11."
)
# What only containers have, and what is said otherwise of them.
OWN = {
    "POSTGRES_URL": ("A PostgreSQL database to use; without one the stacks run a server of their own.", ""),
    "POSTGRES_DIRECT_URL": ("Leads to PostgreSQL itself if POSTGRES_URL leads to a pooler.", ""),
    "S3_ENDPOINT": ("An S3 store to use, where the buckets exist; without one the stacks run MinIO. Its key:", ""),
    "S3_ACCESS_KEY": ("", ""),
    "S3_SECRET_KEY": ("", ""),
    "HADOOP_CONF_DIR": (OF_CLUSTERS, ""),
    "YARN_MEMORY_MB": ("What all applications on one node of our YARN may hold together.", "1536"),
    "MLFLOW_URL": ("An MLflow to use.", "http://mlflow:5000"),
    "GATEWAY_TLS_FOLDER": (OF_HTTPS, ""),
    "TRAINING_RECIPE": ("By which recipe `dvc repro` trains: full or quick.", "full"),
    "DATASETS": ("The folder of the raw sales that may be landed.", "../datasets"),
    "LANDING_RAW_ROOT": ("Where they are landed.", "webhdfs://hashiramart@namenode:9870/hashiramart/raw"),
    "JOBS_YARN_URL": ("The ResourceManager's REST API.", "http://resourcemanager:8088"),
    "JOBS_WEBHDFS_URL": ("The NameNode's REST API.", "http://namenode:9870"),
    "AUTH_TRUSTED_PROXIES": ("Who is believed where a call comes from: the networks of containers.", ""),
}


class Setting(NamedTuple):
    """A setting of the code's: what is said of it there, and its default."""

    explanation: str
    default: str


def text() -> str:
    """The file."""
    classes: tuple[type[BaseSettings], ...] = (StackSettings, *OF_PROCESSES)
    known = {name: setting for settings in classes for name, setting in described(settings)}
    known |= {name: Setting(*own) for name, own in OWN.items()}
    chosen = handed_on() | OWN.keys()
    sections = [HEAD]
    for name in known:
        if name in chosen:
            explanation, default = known[name]
            said = "".join(f"\n# {line}" for line in textwrap.wrap(explanation, 138))
            sections.append(f"{said}\n# {name}={default}".removeprefix("\n" if not said else ""))
    return "\n".join(sections) + "\n"


def handed_on() -> set[str]:
    """The names that the Compose files take from their environment."""
    told = "".join(file.read_text() for file in FILES)
    replaced = re.findall(r"(?<!\$)\$\{([A-Z]\w+)", told)
    handed = re.findall(r"^\s+([A-Z]\w+):\s*$", told, re.MULTILINE)
    return {*replaced, *handed}


def described(settings: type[BaseSettings]) -> Iterator[tuple[str, Setting]]:
    """The variables of some settings, by name."""
    explained = explanations(settings)
    for field, info in settings.model_fields.items():
        alias = info.validation_alias
        name = alias if isinstance(alias, str) else f"{settings.model_config['env_prefix']}{field}".upper()
        default = "" if info.default in (None, PydanticUndefined, ()) else to_jsonable_python(info.default)
        yield name, Setting(explained.get(field, ""), str(default).lower() if isinstance(default, bool) else str(default))


def explanations(settings: type[BaseSettings]) -> dict[str, str]:
    """What comments, or strings below, say of each field."""
    source = textwrap.dedent(inspect.getsource(settings))
    lines, [definition] = source.splitlines(), ast.parse(source).body
    if not isinstance(definition, ast.ClassDef):
        raise TypeError(f"{settings} is no class")
    found = {}
    for statement, after in zip(definition.body, [*definition.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            above = statement.lineno - 2
            comment: list[str] = []
            while lines[above].strip().startswith("#"):
                comment.insert(0, lines[above].strip(" #"))
                above -= 1
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                comment.append(str(after.value.value))
            found[statement.target.id] = " ".join(comment)
    return found


if __name__ == "__main__":
    (FOLDER / ".env.example").write_text(text())
