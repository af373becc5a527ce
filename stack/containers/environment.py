"""Makes what the stacks of containers are told: `compose/.env`, and their secrets, each in a file of its own.

    python3 -m stack.containers.environment            in this folder, where Compose looks for them
    python3 -m stack.containers.environment FOLDER     in another, for `docker compose --env-file FOLDER/.env`

What is there stays as it is, so that it is run again after a line of `.env` was changed. Runs on a bare Python, so it imports nothing
but the standard library.
"""

import json
import os
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "compose"
# Random, and known to nobody but who is given the file.
RANDOM = (
    "AUTH_SECRET",
    "CATALOG_SECRET",
    "RECOMMENDER_SECRET",
    "FORECASTER_SECRET",
    "JOBS_SECRET",
    "POSTGRES_PASSWORD",
    "MINIO_ROOT_PASSWORD",
)
# The services that call others in their own name, and the users of the store.
CLIENTS = ("recommender", "jobs")
USERS = ("spark", "training", "mlflow")


def main(folder: Path) -> None:
    file = folder / ".env"
    if not file.exists():
        folder.mkdir(exist_ok=True)
        file.touch(mode=0o600)
        elsewhere = "" if folder == FOLDER else f"SECRETS={folder / 'secrets'}\n"
        file.write_text((FOLDER / ".env.example").read_text() + elsewhere)
    chosen = settings(file) | os.environ
    choose_profiles(file, chosen)
    Secrets(folder / "secrets").make(chosen)
    print(f"{file} says what is chosen, and {folder / 'secrets'} has the secrets.")


def settings(file: Path) -> dict[str, str]:
    """What the lines of a file set."""
    lines = (line.partition("=") for line in file.read_text().splitlines() if re.match(r"\w+=", line))
    return {name: value.strip().strip("'\"") for name, _, value in lines if value.strip()}


def choose_profiles(file: Path, chosen: Mapping[str, str]) -> None:
    """Lets `.env` say which engines of our own are wanted: those that nobody else's take the place of."""
    theirs = {"postgres": "POSTGRES_URL", "minio": "S3_ENDPOINT", "hadoop": "HADOOP_CONF_DIR"}
    profiles = ",".join(profile for profile, setting in theirs.items() if not chosen.get(setting))
    text = re.sub(r"^COMPOSE_PROFILES=.*$", f"COMPOSE_PROFILES={profiles}", file.read_text(), flags=re.MULTILINE)
    file.write_text(text)


class Secrets:
    """The secrets of an installation, each in a file of its own in a folder.

    Only its owner can go into the folder. The files may be read by the user of the containers too, each where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self, chosen: Mapping[str, str]) -> None:
        """Makes those that are missing, and tells what was chosen to those who need it."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for name in RANDOM:
            self._kept(name)
        self._write("AUTH_SERVICE_SECRETS", json.dumps({client: self._kept(f"{client.upper()}_SERVICE_SECRET") for client in CLIENTS}))
        url = chosen.get("POSTGRES_URL") or f"postgresql://hashiramart:{self._kept('POSTGRES_PASSWORD')}@postgres:5432/hashiramart"
        self._write("DATABASE_URL", url)
        self._write("DATABASE_DIRECT_URL", chosen.get("POSTGRES_DIRECT_URL") or url)
        for user in USERS:
            access_key, secret_key = self._key(user, chosen)
            # In the form that AWS's own tools read.
            self._write(f"{user}.credentials", f"[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n")

    def _key(self, user: str, chosen: Mapping[str, str]) -> tuple[str, str]:
        """By which this user of the store is known there."""
        if not chosen.get("S3_ENDPOINT"):
            return user, self._kept(f"S3_{user.upper()}_SECRET_KEY")
        if missing := [name for name in ("S3_ACCESS_KEY", "S3_SECRET_KEY") if not chosen.get(name)]:
            sys.exit(f"{missing[0]}: S3_ENDPOINT wants it.")
        return chosen["S3_ACCESS_KEY"], chosen["S3_SECRET_KEY"]

    def _kept(self, name: str) -> str:
        """A random secret, made when it is first asked for."""
        file = self._folder / name
        if not file.exists():
            self._write(name, secrets.token_urlsafe(32))
        return file.read_text()

    def _write(self, name: str, text: str) -> None:
        # In place, for a container that runs has this very file.
        file = self._folder / name
        file.touch()
        file.chmod(0o644)
        if file.read_text() != text:
            file.write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute() if sys.argv[1:] else FOLDER)
