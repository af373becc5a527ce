"""Makes what the containers' stacks are told: `.env`, and their secrets, each in a file of its own: `python3 -m compose.environment`.

What is there stays as it is, so that it is run again after a line of `.env` was changed. Runs on a bare Python, so it imports nothing
but the standard library.
"""

import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".secrets"
# Random, and known to nobody but who is given the file.
RANDOM = ("AUTH_SECRET", "CATALOG_SECRET", "RECOMMENDER_SECRET", "FORECASTER_SECRET", "JOBS_SECRET", "POSTGRES_PASSWORD")
STORE = ("MINIO_ROOT_PASSWORD",)
# The services that call others in their own name, and the users of the store.
CLIENTS = ("recommender", "jobs")
USERS = ("spark", "training", "mlflow")


def main() -> None:
    file = ROOT / ".env"
    if not file.exists():
        file.touch(mode=0o600)
        shutil.copyfile(ROOT / ".env.example", file)
    chosen = settings(file) | os.environ
    choose_profiles(file, chosen)
    write_secrets(chosen)
    print(f"{file} says what is chosen, and {FOLDER} has the secrets.")


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


def write_secrets(chosen: Mapping[str, str]) -> None:
    # In the folder only its owner can go; the files are also read by the containers' user, each where it is mounted.
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    random = {name: kept(name) for name in (*RANDOM, *STORE)}
    proofs = {client: kept(f"{client.upper()}_SERVICE_SECRET") for client in CLIENTS}
    write("AUTH_SERVICE_SECRETS", json.dumps(proofs))
    url = chosen.get("POSTGRES_URL") or f"postgresql://hashiramart:{random['POSTGRES_PASSWORD']}@postgres:5432/hashiramart"
    write("DATABASE_URL", url)
    write("DATABASE_DIRECT_URL", chosen.get("POSTGRES_DIRECT_URL") or url)
    for user in USERS:
        write(f"{user}.credentials", credentials(user, chosen))


def credentials(user: str, chosen: Mapping[str, str]) -> str:
    """A user's key, in the form that AWS's own tools read."""
    if chosen.get("S3_ENDPOINT"):
        if missing := [name for name in ("S3_ACCESS_KEY", "S3_SECRET_KEY") if not chosen.get(name)]:
            sys.exit(f"{missing[0]}: S3_ENDPOINT wants it.")
        access_key, secret_key = chosen["S3_ACCESS_KEY"], chosen["S3_SECRET_KEY"]
    else:
        access_key, secret_key = user, kept(f"S3_{user.upper()}_SECRET_KEY")
    return f"[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n"


def kept(name: str) -> str:
    """A secret, made when it is first asked for."""
    file = FOLDER / name
    if not file.exists():
        write(name, secrets.token_urlsafe(32))
    return file.read_text()


def write(name: str, text: str) -> None:
    # In place, for a container that runs has this very file.
    file = FOLDER / name
    file.touch()
    file.chmod(0o644)
    if file.read_text() != text:
        file.write_text(text)


if __name__ == "__main__":
    main()
