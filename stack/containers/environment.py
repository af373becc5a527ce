"""Writes the settings and secrets of the containers: `.env`, and a file for each secret.

    python3 -m stack.containers.environment            in compose/, where Compose looks for them
    python3 -m stack.containers.environment FOLDER     in another folder, for `docker compose --env-file FOLDER/.env`

Existing settings and secrets stay; run it again after a change of `.env`. Runs before any package is installed, so it imports only the
standard library.
"""

import json
import os
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from stack import database_roles, model_secrets

FOLDER = Path(__file__).resolve().parents[2] / "compose"
# The random secrets.
RANDOM = (
    "AUTH_SECRET",
    "CATALOG_SECRET",
    "RECOMMENDER_SECRET",
    "FORECASTER_SECRET",
    "JOBS_SECRET",
    "POSTGRES_PASSWORD",
    "MINIO_ROOT_PASSWORD",
    *map(model_secrets.password, model_secrets.ACCOUNTS),
)
# The services that authenticate to others, and the users of the store.
CLIENTS = ("catalog", "recommender", "forecaster", "jobs")
USERS = ("spark", "training", "mlflow")


def main(folder: Path) -> None:
    file = folder / ".env"
    if not file.exists():
        folder.mkdir(exist_ok=True)
        file.touch(mode=0o600)
        elsewhere = "" if folder == FOLDER else f"SECRETS={folder / 'secrets'}\n"
        file.write_text((FOLDER / ".env.example").read_text() + elsewhere)
    settings = _read_settings(file) | os.environ
    _set_profiles(file, settings)
    _SecretsFolder(folder / "secrets").create(settings)
    print(f"Settings: {file}\nSecrets:  {folder / 'secrets'}")


def _read_settings(file: Path) -> dict[str, str]:
    """The variables that a file sets, without empty ones."""
    lines = (line.partition("=") for line in file.read_text().splitlines() if re.match(r"\w+=", line))
    return {name: value.strip().strip("'\"") for name, _, value in lines if value.strip()}


def _set_profiles(file: Path, settings: Mapping[str, str]) -> None:
    """Sets COMPOSE_PROFILES in `.env` to the engines that are not replaced by external ones."""
    external = {"postgres": "POSTGRES_URL", "minio": "S3_ENDPOINT", "hadoop": "HADOOP_CONF_DIR"}
    profiles = ",".join(profile for profile, setting in external.items() if not settings.get(setting))
    text = re.sub(r"^COMPOSE_PROFILES=.*$", f"COMPOSE_PROFILES={profiles}", file.read_text(), flags=re.MULTILINE)
    file.write_text(text)


class _SecretsFolder:
    """The secrets of an installation, each in a file of its own.

    Only its owner can enter the folder. The files are readable by everyone, as the containers' user reads those that are mounted.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self, settings: Mapping[str, str]) -> None:
        """Generates the secrets that are missing, and writes those that follow from the settings."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for name in RANDOM:
            self._random_secret(name)
        self._write(
            "AUTH_SERVICE_SECRETS", json.dumps({client: self._random_secret(f"{client.upper()}_SERVICE_SECRET") for client in CLIENTS})
        )
        self._write("MODEL_KEY", model_secrets.public_key(self._random_secret(model_secrets.SIGNING_KEY)))
        for name in ("AUTH_PREVIOUS_SECRET", "AUTH_SMTP_PASSWORD"):
            self._write(name, settings.get(name, ""))
        url = (
            settings.get("POSTGRES_URL") or f"postgresql://hashiramart:{self._random_secret('POSTGRES_PASSWORD')}@postgres:5432/hashiramart"
        )
        direct_url = settings.get("POSTGRES_DIRECT_URL") or url
        self._write("ADMIN_DATABASE_URL", direct_url)
        for role in database_roles.ROLES:
            password = self._random_secret(database_roles.secret(role))
            self._write(f"{role.upper()}_DATABASE_URL", database_roles.role_url(url, role, password))
            self._write(f"{role.upper()}_DATABASE_DIRECT_URL", database_roles.role_url(direct_url, role, password))
        for user in USERS:
            access_key, secret_key = self._key(user, settings)
            # The format of AWS credentials files.
            self._write(f"{user}.credentials", f"[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n")

    def _key(self, user: str, settings: Mapping[str, str]) -> tuple[str, str]:
        """The access key and the secret key of a user of the store."""
        if not settings.get("S3_ENDPOINT"):
            return user, self._random_secret(f"S3_{user.upper()}_SECRET_KEY")
        if missing := [name for name in ("S3_ACCESS_KEY", "S3_SECRET_KEY") if not settings.get(name)]:
            sys.exit(f"{missing[0]}: required with S3_ENDPOINT.")
        return settings["S3_ACCESS_KEY"], settings["S3_SECRET_KEY"]

    def _random_secret(self, name: str) -> str:
        """A random secret, generated on first use."""
        file = self._folder / name
        if not file.exists():
            self._write(name, secrets.token_urlsafe(32))
        return file.read_text()

    def _write(self, name: str, text: str) -> None:
        # Written in place: a running container has this very file mounted.
        file = self._folder / name
        file.touch()
        file.chmod(0o644)
        if file.read_text() != text:
            file.write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute() if sys.argv[1:] else FOLDER)
