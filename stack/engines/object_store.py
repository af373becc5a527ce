"""The S3 store: its buckets, who may do what in them, and the files that tell each their key."""

from collections.abc import Mapping
from configparser import ConfigParser
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from stack import files
from stack.settings import Settings


@dataclass(frozen=True)
class User:
    """Somebody with a key of their own, which their name is the public half of."""

    name: str
    writes: str
    reads: tuple[str, ...] = ()

    @property
    def secret(self) -> str:
        """What the secret half is called among the stack's secrets."""
        return f"S3_{self.name.upper()}_SECRET_KEY"


@dataclass(frozen=True)
class ObjectStore:
    """A store to use, and the key of each user: its public and its secret half."""

    endpoint: str
    region: str
    keys: Mapping[str, tuple[str, str]]

    def write_credentials(self, user: str, file: Path) -> None:
        """Writes a user's key to a file in the form that AWS's own tools read."""
        access_key, secret_key = self.keys[user]
        profiles = ConfigParser(interpolation=None)
        profiles["default"] = {"aws_access_key_id": access_key, "aws_secret_access_key": secret_key}
        text = StringIO()
        profiles.write(text)
        files.replace(file, text.getvalue())


def told_key(credentials: Path) -> dict[str, str]:
    """What a program finds in its environment so that it takes its key from this file, and not from whoever starts it."""
    return {
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_PROFILE": "default",
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
    }


def buckets(settings: Settings) -> tuple[str, ...]:
    return settings.lake_bucket, settings.mlflow_bucket, settings.dvc_bucket


def users(settings: Settings) -> tuple[User, ...]:
    """Everyone who has business with the store, each with no more rights than that takes."""
    return (
        User("spark", writes=settings.lake_bucket),
        User("training", writes=settings.dvc_bucket, reads=(settings.lake_bucket,)),
        User("mlflow", writes=settings.mlflow_bucket),
    )


def external(settings: Settings) -> ObjectStore | None:
    """The store that the settings name, if they name one. There all users share a key."""
    if settings.s3_endpoint is None or settings.s3_access_key is None or settings.s3_secret_key is None:
        return None
    key = settings.s3_access_key, settings.s3_secret_key.get_secret_value()
    return ObjectStore(settings.s3_endpoint, settings.s3_region, {user.name: key for user in users(settings)})
