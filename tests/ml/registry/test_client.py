"""Versions in MLflow: their provenance, aliases, pages and promotion."""

import httpx
import pytest
from mlflow import MlflowClient

from ml.registry.client import (
    ChampionChanged,
    GateNotPassed,
    NoPreviousVersion,
    RegistryClient,
    RegistryUnavailable,
    RolledBack,
    VersionNotFound,
)
from tests.engines.mlflow import Mlflow
from tests.loops import Loop
from tests.ml.model_registry import LINEAGE, SIGNER, ModelRegistry


def test_a_version_has_the_provenance_that_it_was_registered_with(registry: ModelRegistry, loop: Loop, mlflow: Mlflow) -> None:
    number = registry.register(1)
    version = loop.run(registry.client.get(number))
    assert (version.number, version.aliases, version.promotion) == ("1", ("challenger",), None)
    provenance = version.provenance
    assert (provenance.recipe, str(provenance.data_through_date), provenance.metrics) == ("quick", "2011-12-09", {"test.score": 0.9})
    assert provenance.parameters == {"quality": 0.9, "trees": {"count": 120}}
    assert [(check.name, check.required) for check in provenance.gate.checks] == [("test.score beats the baseline", 0.5)]
    assert provenance.lineage == LINEAGE
    assert version.run_url.startswith(f"{mlflow.url}/#/experiments/")
    assert version.run_url.endswith(f"/runs/{version.run_id}")


def test_the_run_of_a_version_has_its_metrics_and_parameters(registry: ModelRegistry, loop: Loop, mlflow: Mlflow) -> None:
    version = loop.run(registry.client.get(registry.register(1)))
    run = MlflowClient(mlflow.url).get_run(version.run_id)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"test.score": 0.9})
    assert run.data.params == {"recipe": "quick", "quality": "0.9", "trees.count": "120"}
    assert (run.data.tags["data_hash"], run.data.tags["mlflow.source.git.commit"]) == (LINEAGE.data_hash, "c0ffee")


def test_versions_are_listed_newest_first_and_paged(registry: ModelRegistry, loop: Loop) -> None:
    for answer in (1, 2, 3):
        registry.register(answer)
    first = loop.run(registry.client.page(2))
    second = loop.run(registry.client.page(2, first.next_token))
    assert [version.number for version in first.versions] == ["3", "2"]
    assert [version.number for version in second.versions] == ["1"]
    assert second.next_token == ""
    assert first.versions[0].aliases == ("challenger",)


def test_an_empty_registry_has_no_versions(registry: ModelRegistry, loop: Loop) -> None:
    assert registry.champion_number() == ""
    assert loop.run(registry.client.page(10)) == ([], "")
    with pytest.raises(VersionNotFound):
        loop.run(registry.client.get("1"))
    with pytest.raises(ChampionChanged):
        loop.run(registry.client.rollback_target("1"))


def test_promotion_moves_the_aliases(registry: ModelRegistry, loop: Loop) -> None:
    for answer in (1, 2):
        promoted = registry.promote(registry.register(answer))
    assert promoted.aliases == ("champion",)
    assert promoted.promotion is not None
    assert promoted.promotion.time > promoted.create_time
    assert loop.run(registry.client.get("1")).aliases == ("previous",)
    assert registry.promote("2").promotion == promoted.promotion


def test_a_promotion_keeps_its_reason_and_the_champions_before_it(registry: ModelRegistry, loop: Loop) -> None:
    for answer in (1, 2, 3):
        registry.promote(registry.register(answer))
    promoted = loop.run(registry.client.promote("1", "version 3 is worse", promoted_by="ann", expected_champion="3"))
    assert promoted.promotion is not None
    assert (promoted.promotion.reason, promoted.promotion.promoted_by) == ("version 3 is worse", "ann")
    assert (promoted.promotion.replaced_version, promoted.promotion.rollback) == ("3", False)
    assert promoted.promotion.earlier_versions == ("3", "2")


def test_a_promotion_expects_a_champion(registry: ModelRegistry, loop: Loop) -> None:
    for answer in (1, 2):
        registry.register(answer)
    with pytest.raises(ChampionChanged) as raised:
        loop.run(registry.client.promote("1", "why", expected_champion="2"))
    assert raised.value.number == ""
    loop.run(registry.client.promote("1", "why", expected_champion=""))
    with pytest.raises(ChampionChanged) as raised:
        loop.run(registry.client.promote("2", "why", expected_champion=""))
    assert (raised.value.number, registry.champion_number()) == ("1", "1")


def test_rollbacks_go_back_step_by_step_and_never_forth(registry: ModelRegistry, loop: Loop) -> None:
    for answer in (1, 2, 3):
        registry.promote(registry.register(answer))

    def roll_back(expected: str) -> str:
        return loop.run(registry.client.roll_back("it is bad", promoted_by="ann", expected_champion=expected)).number

    assert [roll_back("3"), roll_back("3"), roll_back("2"), roll_back("2")] == ["2", "2", "1", "1"]
    with pytest.raises(NoPreviousVersion):
        roll_back("1")
    with pytest.raises(ChampionChanged):
        roll_back("3")
    assert loop.run(registry.client.get("1")).aliases == ("champion",)
    assert [loop.run(registry.client.get(number)).aliases for number in ("2", "3")] == [(), ()]


def test_a_repeated_promotion_does_not_undo_a_rollback(registry: ModelRegistry, loop: Loop) -> None:
    for answer in (1, 2):
        registry.promote(registry.register(answer))
    loop.run(registry.client.roll_back("it is bad", promoted_by="ann", expected_champion="2"))
    with pytest.raises(RolledBack):
        loop.run(registry.client.promote("2", "why", expected_champion="1"))
    assert registry.champion_number() == "1"
    loop.run(registry.client.promote("2", "it is mended", expected_champion="1", force=True))
    assert registry.champion_number() == "2"


def test_a_version_that_did_not_pass_the_gate_is_only_promoted_by_force(registry: ModelRegistry, loop: Loop) -> None:
    number = registry.register(1, passed=False)
    with pytest.raises(GateNotPassed):
        registry.promote(number)
    assert registry.champion_number() == ""
    loop.run(registry.client.promote(number, "for a test", force=True))
    assert registry.champion_number() == number


def test_versions_registered_by_others_are_left_out(registry: ModelRegistry, loop: Loop, mlflow: Mlflow) -> None:
    registry.register(1)
    MlflowClient(mlflow.url).create_model_version(registry.model, "s3://elsewhere/model")
    assert [version.number for version in loop.run(registry.client.page(10)).versions] == ["1"]


def test_a_registry_that_cannot_be_reached_is_named(registry: ModelRegistry, loop: Loop, mlflow: Mlflow) -> None:
    with mlflow.stopped(), pytest.raises(RegistryUnavailable, match=f"MLflow at {mlflow.url} cannot be reached"):
        loop.run(registry.client.champion())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "<html>",
        '{"model_version": 7}',
        '{"model_version": {}}',
        '{"model_version": {"version": null}}',
        "[" * 100_000,
        "\ud800",
    ],
)
@pytest.mark.parametrize("status", [200, 404])
def test_whatever_answers_in_mlflows_place_is_an_error_that_names_it(loop: Loop, text: str, status: int) -> None:
    async def ask() -> None:
        answer = httpx.MockTransport(lambda _: httpx.Response(status, content=text.encode(errors="surrogatepass")))
        async with httpx.AsyncClient(transport=answer) as client:
            await RegistryClient(client, "http://mlflow", "model", SIGNER.verifier).champion()

    with pytest.raises(RegistryUnavailable, match="MLflow at http://mlflow answers registered-models/alias with something else"):
        loop.run(ask())


def test_a_refused_account_is_named(loop: Loop, mlflow: Mlflow) -> None:
    async def ask(auth: tuple[str, str]) -> None:
        async with httpx.AsyncClient(auth=auth) as client:
            await RegistryClient(client, mlflow.url, "model", SIGNER.verifier).champion()

    with pytest.raises(RegistryUnavailable, match="refuses the account for registered-models/alias: Sign in to MLflow"):
        loop.run(ask(("recommender", "wrong")))
