"""Signs versions in MLflow that the pipeline's key has not signed: those of a release without signatures, or of a key that was replaced.

    python -m ml.pipeline.sign                    all of both models
    python -m ml.pipeline.sign recommender 3 4    these

What MLflow says of a version is signed as it is, the gate's verdict too: name the versions if somebody else may have written there.
"""

import argparse
import sys
from collections.abc import Collection

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from pydantic import ValidationError

from ml.pipeline.settings import Settings
from ml.registry import signature
from ml.registry.client import registered_name
from ml.registry.errors import InvalidArtifact
from ml.registry.version import Provenance

MODELS = ("recommender", "forecaster")


def sign_versions(url: str, model: str, signer: signature.Signer, numbers: Collection[str] = ()) -> list[str]:
    """Signs the versions of these numbers, or all, and returns the numbers of those that were not signed before.

    model: the registered name

    Raises `MlflowException` if MLflow cannot be reached or has no such version.
    """
    client, signed = MlflowClient(url), []
    found = [client.get_model_version(model, number) for number in numbers] or client.search_model_versions(f"name='{model}'")
    for version in found:
        if not _needs_signature(signer, model, version.tags):
            continue
        client.set_model_version_tag(model, str(version.version), signature.TAG, signer.sign(model, version.tags))
        signed.append(str(version.version))
    return signed


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ml.pipeline.sign", description=__doc__)
    parser.add_argument("model", nargs="?", choices=MODELS)
    parser.add_argument("versions", nargs="*", metavar="version")
    arguments, settings = parser.parse_args(), Settings()
    try:
        for model in [arguments.model] if arguments.model else MODELS:
            for number in sign_versions(settings.mlflow_url, registered_name(model), settings.signer, arguments.versions):
                print(f"signed version {number} of the {model}")
    except MlflowException as error:
        sys.exit(f"Not all versions were signed: {error}")


def _needs_signature(signer: signature.Signer, model: str, tags: dict[str, str]) -> bool:
    """Whether a version that a pipeline registered has no signature of this key."""
    try:
        Provenance.from_tags(tags)
    except ValidationError:
        return False
    try:
        signer.verifier.verify(model, tags)
    except InvalidArtifact:
        return True
    return False


if __name__ == "__main__":
    main()
