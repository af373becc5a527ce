"""MLflow's answers, of which only what is used is read and checked. Anybody who reaches MLflow may have written what they hold."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, StringConstraints

_Text = Annotated[str, StringConstraints(min_length=1)]
# Neither `.` nor `..`, nor anything that leads to another folder.
_FileName = Annotated[str, StringConstraints(pattern=r"^(?:[^/]+/)*\w[\w.-]{0,200}$")]


class ErrorAnswer(BaseModel, frozen=True):
    """The error of a call."""

    error_code: str


class Tag(BaseModel, frozen=True):
    """A tag of a version."""

    key: str
    value: str = ""


class VersionAnswer(BaseModel, frozen=True, coerce_numbers_to_str=True):
    """A version, all fields of which this pipeline sets."""

    version: _Text
    source: _Text
    run_id: _Text
    creation_timestamp: datetime
    """In MLflow milliseconds since 1970."""
    tags: tuple[Tag, ...] = ()
    aliases: tuple[str, ...] = ()


class Numbered(BaseModel, frozen=True, extra="allow", coerce_numbers_to_str=True):
    """A version of whom nothing but the number is certain: others may have registered it."""

    version: _Text


class OneVersion(BaseModel, frozen=True):
    """The answer about one version."""

    model_version: Numbered


class Versions(BaseModel, frozen=True):
    """The result of a search, which leaves out what is empty."""

    model_versions: tuple[Numbered, ...] = ()
    next_page_token: str = ""


class AliasedVersion(BaseModel, frozen=True, coerce_numbers_to_str=True):
    """An alias and the version it points to."""

    alias: str
    version: _Text


class RegisteredModel(BaseModel, frozen=True):
    """A registered model."""

    aliases: tuple[AliasedVersion, ...] = ()


class OneModel(BaseModel, frozen=True):
    """The answer about one registered model."""

    registered_model: RegisteredModel = RegisteredModel()


class StoredFile(BaseModel, frozen=True):
    """A file, or a folder."""

    path: _FileName


class StoredFiles(BaseModel, frozen=True):
    """The files and folders in a folder."""

    files: tuple[StoredFile, ...] = ()


class Done(BaseModel, frozen=True):
    """The answer of a call that changes something."""
