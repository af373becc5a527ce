"""Settings of the pipeline."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from ml.registry.signature import Signer
from ml.registry.version import ModelVersion


class Settings(
    BaseSettings, env_prefix="PIPELINE_", frozen=True, populate_by_name=True, env_ignore_empty=True, use_attribute_docstrings=True
):
    """Read from the environment as `PIPELINE_...`. The store's access keys come from AWS's own variables or credentials file."""

    store_url: str = "http://127.0.0.1:9000"
    """The URL of the S3 store."""
    store_region: str = "us-east-1"
    """The region of the S3 store."""
    lake_bucket: str = "lake"
    """The bucket of the clean data."""
    mlflow_url: str = "http://127.0.0.1:5000"
    """The URL of MLflow."""
    mlflow_username: str = Field(default="training", validation_alias="MLFLOW_TRACKING_USERNAME")
    """The name by which the pipeline, and MLflow's own client in it, sign in to MLflow."""
    mlflow_password: SecretStr | None = Field(default=None, validation_alias="MLFLOW_TRACKING_PASSWORD")
    """The password for that. Without it, they do not sign in."""
    signing_key: Annotated[SecretStr, Field(min_length=43, max_length=43)]
    """The private key that signs the models (Ed25519), 32 bytes as base64url. Services have the public one."""
    job_id: str = ""
    """The job that trains, or empty."""
    lease: Path | None = None
    """The file in which a job's worker keeps the end of its lease, in seconds of the machine's uptime."""
    code_commit: str = ""
    """The commit of the code where there is no git checkout."""
    required_shadow_lists: int = Field(default=0, validation_alias="RECOMMENDER_REQUIRED_SHADOW_LISTS")
    """How many lists a version has to make in shadow before it is promoted: above 0, a training of the recommender promotes none but the
    first."""
    progress: Path | None = None
    """The file to which stages append their progress."""

    def holds_back(self, model: str, champion: ModelVersion | None) -> bool:
        """Whether a version of a model is left to be promoted by a person. The first one has no champion to be in shadow of."""
        return model == "recommender" and self.required_shadow_lists > 0 and champion is not None

    @property
    def mlflow_auth(self) -> tuple[str, str] | None:
        """The name and the password for MLflow."""
        return (self.mlflow_username, self.mlflow_password.get_secret_value()) if self.mlflow_password else None

    @property
    def signer(self) -> Signer:
        """Signs what is registered."""
        return Signer(self.signing_key.get_secret_value())
