"""The S3 store: its buckets, its users and their permissions, and their credentials files."""

from collections.abc import Mapping
from configparser import ConfigParser
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from stack import files
from stack.settings import Settings


@dataclass(frozen=True)
class StoreUser:
    """A user of the store, with a key of its own."""

    name: str
    """The user's name, which is also the access key."""
    writes: str
    """The bucket that the user may read and write."""
    reads: tuple[str, ...] = ()
    """The buckets that the user may only read."""

    @property
    def secret(self) -> str:
        """The name of the user's secret key among the stack's secrets."""
        return f"S3_{self.name.upper()}_SECRET_KEY"


@dataclass(frozen=True)
class ObjectStore:
    """An S3 store and the keys of its users."""

    endpoint: str
    region: str
    keys: Mapping[str, tuple[str, str]]
    """Access key and secret key, by the user's name."""

    def write_credentials(self, user: str, file: Path) -> None:
        """Writes a user's key to an AWS credentials file."""
        access_key, secret_key = self.keys[user]
        profiles = ConfigParser(interpolation=None)
        profiles["default"] = {"aws_access_key_id": access_key, "aws_secret_access_key": secret_key}
        text = StringIO()
        profiles.write(text)
        files.replace(file, text.getvalue())


def credentials_environment(credentials: Path) -> dict[str, str]:
    """The environment that makes a program take its key from this file, and not from variables it inherits."""
    return {
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_PROFILE": "default",
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
    }


def buckets(settings: Settings) -> tuple[str, ...]:
    return settings.lake_bucket, settings.mlflow_bucket, settings.dvc_bucket


def users(settings: Settings) -> tuple[StoreUser, ...]:
    """The users of the store, each with the least permissions it needs."""
    return (
        StoreUser("spark", writes=settings.lake_bucket),
        StoreUser("training", writes=settings.dvc_bucket, reads=(settings.lake_bucket,)),
        StoreUser("mlflow", writes=settings.mlflow_bucket),
    )


def external(settings: Settings) -> ObjectStore | None:
    """The store at S3_ENDPOINT, or None if that is not set. All users share its key."""
    if settings.s3_endpoint is None or settings.s3_access_key is None or settings.s3_secret_key is None:
        return None
    key = settings.s3_access_key, settings.s3_secret_key.get_secret_value()
    return ObjectStore(settings.s3_endpoint, settings.s3_region, {user.name: key for user in users(settings)})
