"""What is signed of a version, and what a service does about one that is not signed, or did not pass the gate."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from secrets import token_urlsafe

import pytest
from mlflow import MlflowClient
from prometheus_client import REGISTRY

from ml.pipeline import tracking
from ml.pipeline.sign import sign_versions
from ml.registry import signature
from ml.registry.champion import Champion
from ml.registry.client import ChampionChanged, GateNotPassed
from ml.registry.errors import InvalidArtifact
from ml.registry.signature import Signer, Verifier
from stack.model_secrets import public_key
from tests.engines.mlflow import Mlflow
from tests.loops import Loop
from tests.ml.model_registry import SECRET, SIGNER, ModelRegistry, provenance
from tests.ml.standin.model import Standin

TAGS = {"artifact_sha256": "ab" * 32, "gate": '{"checks":[]}', "recipe": "quick"}


def test_a_signature_holds_for_its_model_and_tags_alone() -> None:
    signer = Signer.generate()
    tags = TAGS | {signature.TAG: signer.sign("model", TAGS)}
    signer.verifier.verify("model", tags | {"promotion": "is not signed"})
    for model, changed in (("other", {}), ("model", {"gate": "{}"}), ("model", {"recipe": "full"}), ("model", {"job_id": "7"})):
        with pytest.raises(InvalidArtifact, match="not signed by this installation's pipeline"):
            signer.verifier.verify(model, tags | changed)


@pytest.mark.parametrize("text", ["", "AAAA", "ä", "=", "A" * 86, "A" * 85, " "])
def test_what_is_no_signature_is_refused(text: str) -> None:
    with pytest.raises(InvalidArtifact):
        SIGNER.verifier.verify("model", TAGS | {signature.TAG: text})


def test_another_key_verifies_nothing() -> None:
    with pytest.raises(InvalidArtifact):
        Signer.generate().verifier.verify("model", TAGS | {signature.TAG: SIGNER.sign("model", TAGS)})


def test_the_stack_derives_the_public_key_as_the_library_does() -> None:
    for _ in range(20):
        key = token_urlsafe(32)
        assert public_key(key) == Signer(key).public_key


@pytest.fixture
def served(registry: ModelRegistry, loop: Loop, tmp_path: Path) -> Champion[Standin]:
    """A service that serves version 1, which answers 1."""
    registry.promote(registry.register(1))
    champion = registry.champion_in(tmp_path / "models")
    loop.run(champion.refresh())
    return champion


def register_as_a_stranger(mlflow: Mlflow, registry: ModelRegistry, tmp_path: Path) -> str:
    """Registers a model by a raw client of MLflow, with the verdict of a gate that nobody asked, and a key of its own."""
    Standin(6, 6).save(tmp_path / "stranger")
    return tracking.register(mlflow.url, registry.model, provenance(tmp_path / "stranger"), Signer.generate(), tmp_path / "stranger", [])


def register_refused(mlflow: Mlflow, registry: ModelRegistry, tmp_path: Path) -> str:
    return registry.register(6, passed=False)


def change_the_verdict(mlflow: Mlflow, registry: ModelRegistry, tmp_path: Path) -> str:
    number = registry.register(6, passed=False)
    tags = provenance(tmp_path / "registry" / "6", passed=True).tags()
    MlflowClient(mlflow.url).set_model_version_tag(registry.model, number, "gate", tags["gate"])
    return number


def change_the_digest(mlflow: Mlflow, registry: ModelRegistry, tmp_path: Path) -> str:
    number = registry.register(6)
    MlflowClient(mlflow.url).set_model_version_tag(registry.model, number, "artifact_sha256", "ab" * 32)
    return number


@pytest.mark.parametrize(
    ("register", "fault"),
    [
        (register_as_a_stranger, "Version 2 .* not signed by this installation's pipeline"),
        (change_the_verdict, "Version 2 .* not signed"),
        (change_the_digest, "Version 2 .* not signed"),
        (register_refused, "Version 2 .* did not pass the gate, and no admin forced it"),
    ],
)
def test_a_promotion_past_the_gate_by_a_raw_client_is_refused(
    registry: ModelRegistry,
    served: Champion[Standin],
    loop: Loop,
    mlflow: Mlflow,
    tmp_path: Path,
    register: Callable[[Mlflow, ModelRegistry, Path], str],
    fault: str,
) -> None:
    number = register(mlflow, registry, tmp_path)
    MlflowClient(mlflow.url).set_registered_model_alias(registry.model, "champion", number)
    with pytest.raises(InvalidArtifact, match=fault):
        loop.run(served.refresh())
    with pytest.raises(InvalidArtifact, match=fault):
        loop.run(served.in_registry())
    assert served.serving
    assert served.serving.model.answer == 1
    fresh = registry.champion_in(tmp_path / "fresh")
    with pytest.raises(InvalidArtifact, match=fault):
        loop.run(fresh.refresh())
    # Not even downloaded.
    assert not (tmp_path / "fresh").exists()


@pytest.mark.parametrize("register", [register_as_a_stranger, change_the_verdict, change_the_digest])
def test_a_promotion_replaces_what_a_raw_client_has_put_in_place(
    registry: ModelRegistry,
    served: Champion[Standin],
    loop: Loop,
    mlflow: Mlflow,
    tmp_path: Path,
    register: Callable[[Mlflow, ModelRegistry, Path], str],
) -> None:
    number = register(mlflow, registry, tmp_path)
    good, other = registry.register(3), registry.register(4)
    MlflowClient(mlflow.url).set_registered_model_alias(registry.model, "champion", number)
    for expected in (number, "1"):
        with pytest.raises(ChampionChanged) as changed:
            loop.run(served.promote(good, "for a test", promoted_by="ann", expected_champion=expected))
        assert changed.value.number == ""
    promoted = loop.run(served.promote(good, "for a test", promoted_by="ann", expected_champion=""))
    assert promoted.promotion
    assert (promoted.promotion.replaced_version, promoted.promotion.earlier_versions) == ("", ())
    assert served.serving
    assert served.serving.model.answer == 3
    # Who saw no champion either comes too late.
    with pytest.raises(ChampionChanged) as changed:
        loop.run(served.promote(other, "for a test", promoted_by="bob", expected_champion=""))
    assert changed.value.number == registry.champion_number() == good


def test_what_cannot_be_served_is_counted(
    registry: ModelRegistry, served: Champion[Standin], loop: Loop, mlflow: Mlflow, tmp_path: Path
) -> None:
    number = register_as_a_stranger(mlflow, registry, tmp_path)
    MlflowClient(mlflow.url).set_registered_model_alias(registry.model, "champion", number)

    async def watch_until_counted() -> None:
        watch = asyncio.create_task(served.watch())
        while not REGISTRY.get_sample_value("champion_failures_total", {"model": registry.model, "error": "InvalidArtifact"}):
            await asyncio.sleep(0.01)
        watch.cancel()

    loop.run(watch_until_counted())
    assert served.serving
    assert served.serving.model.answer == 1


def test_a_forced_promotion_is_served_by_the_replicas_that_have_the_secret(
    registry: ModelRegistry, served: Champion[Standin], loop: Loop, tmp_path: Path
) -> None:
    number = registry.register(2, passed=False)
    with pytest.raises(GateNotPassed):
        loop.run(served.promote(number, "for a test", promoted_by="ann", expected_champion="1"))
    loop.run(served.promote(number, "for a test", promoted_by="ann", expected_champion="1", force=True))
    replica = registry.champion_in(tmp_path / "replica")
    loop.run(replica.refresh())
    assert replica.serving
    assert replica.serving.model.answer == 2
    other = Champion(registry.client, tmp_path / "other", Standin.load, f"not {SECRET}", 0.05)
    with pytest.raises(InvalidArtifact, match="did not pass the gate"):
        loop.run(other.refresh())
    # Back, and forth again: the approval stays with the version.
    loop.run(served.roll_back("for a test", promoted_by="ann", expected_champion=number))
    loop.run(served.promote(number, "again", promoted_by="ann", expected_champion="1", force=True))
    loop.run(replica.refresh())
    assert replica.serving.version.number == number


def test_an_admin_forces_what_a_raw_client_has_promoted(
    registry: ModelRegistry, served: Champion[Standin], loop: Loop, mlflow: Mlflow
) -> None:
    number = registry.register(2, passed=False)
    MlflowClient(mlflow.url).set_registered_model_alias(registry.model, "champion", number)
    loop.run(served.promote(number, "for a test", promoted_by="ann", expected_champion=number, force=True))
    loop.run(served.refresh())
    assert served.serving
    assert served.serving.model.answer == 2


def test_a_rollback_to_what_never_passed_the_gate_is_refused(
    registry: ModelRegistry, served: Champion[Standin], loop: Loop, mlflow: Mlflow
) -> None:
    refused = registry.register(2, passed=False)
    promotion = registry.promote(registry.register(3)).promotion
    assert promotion
    planted = promotion.model_copy(update={"earlier_versions": (refused,)}).model_dump_json()
    MlflowClient(mlflow.url).set_model_version_tag(registry.model, "3", "promotion", planted)
    with pytest.raises(InvalidArtifact, match="Version 2 .* did not pass the gate"):
        loop.run(served.roll_back("for a test", promoted_by="ann", expected_champion="3"))
    assert registry.champion_number() == "3"


def test_versions_without_a_signature_are_signed_by_a_command(registry: ModelRegistry, loop: Loop, mlflow: Mlflow, tmp_path: Path) -> None:
    client, number = MlflowClient(mlflow.url), registry.register(1)
    client.delete_model_version_tag(registry.model, number, signature.TAG)
    client.create_model_version(registry.model, "s3://elsewhere/model")
    champion = registry.champion_in(tmp_path / "models")
    client.set_registered_model_alias(registry.model, "champion", number)
    with pytest.raises(InvalidArtifact, match="not signed"):
        loop.run(champion.refresh())
    assert sign_versions(mlflow.url, registry.model, SIGNER) == [number]
    assert sign_versions(mlflow.url, registry.model, SIGNER) == []
    loop.run(champion.refresh())
    assert champion.serving
    assert sign_versions(mlflow.url, registry.model, Signer.generate(), [number]) == [number]


def test_a_verdict_that_is_replaced_is_signed_at_every_moment(
    registry: ModelRegistry, loop: Loop, mlflow: Mlflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, judged = registry.register(1), provenance(tmp_path / "registry" / "1", passed=False)
    passed: list[bool] = []
    set_tag = MlflowClient.set_model_version_tag

    def set_tag_and_look(self: MlflowClient, *arguments: str) -> None:
        set_tag(self, *arguments)
        passed.append(loop.run(registry.client.get(number)).provenance.gate.passed)

    monkeypatch.setattr(MlflowClient, "set_model_version_tag", set_tag_and_look)
    tracking.record_gate(mlflow.url, registry.model, number, judged, SIGNER)
    assert passed == [True, False, False]
    assert len(MlflowClient(mlflow.url).get_model_version(registry.model, number).tags[signature.TAG].split()) == 1


def test_a_key_is_checked() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Verifier("AAAA")
