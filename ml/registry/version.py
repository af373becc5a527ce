"""A registered version of a model, and the provenance that is stored with it as tags."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, StringConstraints, TypeAdapter

from ml.registry.judgement import Judgement

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
# The tag of a version that holds its promotion as JSON.
PROMOTION_TAG = "promotion"
_JSON = TypeAdapter[object](object)
_JSON_TAGS = ("parameters", "metrics", "gate", "raw_files")


class Lineage(BaseModel, frozen=True):
    """Where a model came from: enough to train it again."""

    dvc_revision: str
    """The MD5 that DVC computed of the data set."""
    data_hash: str
    """The SHA-256 of the content of the clean data."""
    job_id: str
    """The job that trained the model; empty if it was trained by hand."""
    etl_job_id: str
    """The job whose ETL produced the clean data."""
    raw_files: tuple[str, ...]
    """The raw files, each as `name sha256`."""
    code_commit: str


class Provenance(BaseModel, frozen=True):
    """What is recorded of a model when it is registered."""

    artifact_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """The digest of the artifact (`ml.registry.artifact.digest`), which also names its folder on disk."""
    recipe: str
    parameters: Mapping[str, Any]
    data_through_date: date
    metrics: Mapping[str, float]
    """Measured with the same recipe, fitted before the test window."""
    gate: Judgement
    lineage: Lineage

    @classmethod
    def tag_names(cls) -> frozenset[str]:
        """The names of the tags that `tags` returns."""
        return frozenset(cls.model_fields.keys() - {"lineage"} | Lineage.model_fields.keys())

    def tags(self) -> dict[str, str]:
        """The tags of the version in MLflow: text as it is, everything else as JSON."""
        fields = self.model_dump(mode="json", exclude={"lineage"}) | self.lineage.model_dump(mode="json")
        return {name: value if isinstance(value, str) else _JSON.dump_json(value).decode() for name, value in fields.items()}

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> Self:
        """Reads the provenance back from `tags()`. Raises pydantic's `ValidationError` for tags of another origin."""
        fields = {**tags, **{name: _JSON.validate_json(tags[name]) for name in _JSON_TAGS if name in tags}}
        return cls.model_validate({**fields, "lineage": fields})


class Promotion(BaseModel, frozen=True):
    """How a version became the champion."""

    time: AwareDatetime
    reason: str
    promoted_by: str
    """A user's id; empty if the version's training promoted it."""
    replaced_version: str
    """The champion until then; empty if there was none."""
    rollback: bool
    earlier_versions: tuple[str, ...]
    """The champions before it, latest first: those that rollbacks go back to, one after the other."""
    approval: str = ""
    """The proof that an admin forced the promotion of a version that did not pass the gate (`ml.registry.champion`)."""


class ModelVersion(BaseModel, frozen=True):
    """A version of a model in the registry."""

    number: str
    aliases: tuple[str, ...]
    """Those of CHAMPION, CHALLENGER and PREVIOUS that point to this version."""
    create_time: datetime
    promotion: Promotion | None = None
    """How it last became the champion; None if it never did."""
    run_id: str
    run_url: str
    """The page of the run in MLflow."""
    artifact_path: str
    """The path of the artifact in MLflow's artifact proxy."""
    provenance: Provenance

    @property
    def approval(self) -> str:
        """That of its last promotion, or empty."""
        return self.promotion.approval if self.promotion else ""

    @property
    def was_promoted(self) -> bool:
        """Whether it has ever been the champion.

        The promotion is recorded before the aliases move, so a version that is still the challenger does not count.
        """
        return CHAMPION in self.aliases or (self.promotion is not None and CHALLENGER not in self.aliases)

    @property
    def awaits_promotion(self) -> bool:
        """Whether it was trained last, passed the gate, and was never promoted: it has to be in shadow first, or its training goes on."""
        return CHALLENGER in self.aliases and CHAMPION not in self.aliases and self.provenance.gate.passed and self.promotion is None

    def was_rolled_back_from(self, number: str) -> bool:
        """Whether it is the champion because of a rollback from the version of this number."""
        return self.promotion is not None and self.promotion.rollback and self.promotion.replaced_version == number

    def same(self, other: "ModelVersion") -> bool:
        """Whether both are the same version: a new MLflow counts from 1 again, so the number alone does not identify a model."""
        return (self.number, self.provenance.artifact_sha256) == (other.number, other.provenance.artifact_sha256)
