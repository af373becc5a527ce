"""Writes `compose/.env.example` from the settings classes: `python -m stack.containers.example`.

It contains the settings that the Compose files pass on to containers, with their docstrings and defaults.
"""

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

from pydantic_core import PydanticUndefined, to_jsonable_python
from pydantic_settings import BaseSettings

from gateway.settings import Settings as GatewaySettings
from lake.hadoop.kerberos import KerberosSettings
from mesh.settings import MeshSettings, ShopSettings
from services.auth.settings import Settings as AuthSettings
from services.catalog.settings import Settings as CatalogSettings
from services.forecaster.settings import Settings as ForecasterSettings
from services.jobs.settings import Settings as JobsSettings
from services.jobs.settings import WorkerSettings
from services.recommender.settings import Settings as RecommenderSettings
from stack.settings import Settings as StackSettings
from stack.variables import Variable, variables

FOLDER = Path(__file__).resolve().parents[2] / "compose"
FILES = tuple(FOLDER / name for name in ("common.yml", "core.yml", "docker-compose-mlops.yml", "docker-compose-hadoop.yml"))
WIDTH = 138
SETTINGS: tuple[type[BaseSettings], ...] = (
    StackSettings,
    MeshSettings,
    ShopSettings,
    GatewaySettings,
    AuthSettings,
    CatalogSettings,
    RecommenderSettings,
    ForecasterSettings,
    JobsSettings,
    WorkerSettings,
    KerberosSettings,
)
HEAD = """\
# The settings of the two Compose stacks. `make env` copies this file to .env and generates the secrets in secrets/; run it again after
# a change of .env. Written from the settings classes by `python -m stack.containers.example`. A commented line shows a default.

# The engines that the stacks run: `make env` leaves out those that an external one replaces.
COMPOSE_PROFILES=postgres,minio,hadoop
# Each stack has containers that are not in the files of the other.
COMPOSE_IGNORE_ORPHANS=true
"""
TLS_FOLDER = (
    "A folder with the certificate and the key for HTTPS, mounted at /run/https in the gateway's container; by default, the installation's "
    "own certificate is mounted there. Use it with GATEWAY_TLS_CERTIFICATE=/run/https/tls.crt and GATEWAY_TLS_KEY=/run/https/tls.key."
)
HADOOP_FOLDER = (
    "The configuration folder of an HDFS and YARN to use, with write access to /hashiramart and nodes that have Java 17 and Python 3.11. "
    "Without it, the stack runs both."
)
POSTGRES = "The URL of a PostgreSQL database to use, as its owner, who may create roles. Without it, the stacks run their own server."
# Settings that only the containers have, and those with another description or default there.
OVERRIDES = {
    "POSTGRES_URL": (POSTGRES, ""),
    "POSTGRES_DIRECT_URL": ("The URL of PostgreSQL itself, if POSTGRES_URL is that of a pooler.", ""),
    "S3_ENDPOINT": ("The URL of an S3 store to use, where the buckets exist. Without it, the stacks run MinIO.", ""),
    "S3_ACCESS_KEY": ("The access key for S3_ENDPOINT.", ""),
    "S3_SECRET_KEY": ("The secret key for S3_ENDPOINT.", ""),
    "HADOOP_CONF_DIR": (HADOOP_FOLDER, ""),
    "KERBEROS_KEYTAB": ("The file with the key of KERBEROS_PRINCIPAL, which the containers' user 10001 can read.", ""),
    "KRB5_CONFIG": ("The file that names realms and KDCs, mounted as /etc/krb5.conf.", ""),
    "YARN_MEMORY_MB": ("The memory of all applications on one node of the stack's YARN together.", "1536"),
    "MLFLOW_URL": ("The URL of MLflow.", "http://mlflow:5000"),
    "GATEWAY_TLS_FOLDER": (TLS_FOLDER, ""),
    "TRAINING_RECIPE": ("The recipe with which `dvc repro` trains: full or quick.", "full"),
    "DATASETS": ("The folder of raw sales, mounted at /datasets for `land`.", "../datasets"),
    "LANDING_RAW_ROOT": ("The raw zone in HDFS.", "webhdfs://hashiramart@namenode:9870/hashiramart/raw"),
    "JOBS_YARN_URL": ("The ResourceManager's REST API.", "http://resourcemanager:8088"),
    "JOBS_WEBHDFS_URL": ("The NameNode's REST API.", "http://namenode:9870"),
    "MESH_TRUSTED_PROXIES": ("The networks of proxies whose `x-forwarded-for` is believed; by default, those of containers.", ""),
}


def text() -> str:
    """The contents of the file."""
    settings = {variable.name: _describe(variable) for each in SETTINGS for variable in variables(each)}
    settings |= {name: _Setting(*own) for name, own in OVERRIDES.items()}
    passed = _variables_of_compose_files() | OVERRIDES.keys()
    return "\n".join([HEAD, *(_lines(name, setting) for name, setting in settings.items() if name in passed)]) + "\n"


class _Setting(NamedTuple):
    description: str
    default: str


def _lines(name: str, setting: _Setting) -> str:
    """A setting with its description as a comment above."""
    description = "".join(f"\n# {line}" for line in textwrap.wrap(setting.description, WIDTH))
    return f"{description}\n# {name}={setting.default}".removeprefix("\n" if not description else "")


def _variables_of_compose_files() -> set[str]:
    """The names of the variables that the Compose files take from their environment."""
    content = "".join(file.read_text() for file in FILES)
    substituted = re.findall(r"(?<!\$)\$\{([A-Z]\w+)", content)
    passed = re.findall(r"^\s+([A-Z]\w+):\s*$", content, re.MULTILINE)
    return {*substituted, *passed}


def _describe(variable: Variable) -> _Setting:
    default = variable.field.default
    if default in (None, PydanticUndefined, ()):
        return _Setting(variable.description, "")
    value = to_jsonable_python(default, fallback=str)
    return _Setting(variable.description, str(value).lower() if isinstance(value, bool) else str(value))


if __name__ == "__main__":
    (FOLDER / ".env.example").write_text(text())
