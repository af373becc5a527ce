"""The Compose files against the settings classes and each other; `make test-compose` runs them."""

import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from gateway.settings import Settings as GatewaySettings
from mesh.settings import MeshSettings
from services.auth.settings import Settings as AuthSettings
from services.catalog.settings import Settings as CatalogSettings
from services.forecaster.settings import Settings as ForecasterSettings
from services.jobs.settings import Settings as JobsSettings
from services.jobs.settings import WorkerSettings
from services.recommender.settings import Settings as RecommenderSettings
from stack.containers import example
from stack.engines import minio
from stack.variables import variables
from tests.stack.compose_files import FOLDER, STACKS, Service, services

ROOT = FOLDER.parent
PROCESSES: dict[str, type[BaseSettings]] = {
    "gateway": GatewaySettings,
    "auth": AuthSettings,
    "catalog": CatalogSettings,
    "recommender": RecommenderSettings,
    "forecaster": ForecasterSettings,
    "jobs": JobsSettings,
    "jobs-worker": WorkerSettings,
}
ONCE = ("buckets", "certificates", "migrate", "folders")
# Run by hand.
BY_HAND = ("training", "land")
# Set in the image.
SET_IN_IMAGE = {"GATEWAY_CONSOLE", "GATEWAY_DESCRIPTORS"}


def every_service() -> list[tuple[str, Service]]:
    """The services of both stacks, by name."""
    return [*{name: service for stack in STACKS for name, service in services(stack).items()}.items()]


def configured_names(service: Service) -> set[str]:
    """The names of a container's variables and secrets."""
    secrets = {secret if isinstance(secret, str) else secret["target"] for secret in service.get("secrets", ())}
    return set(service.get("environment", {})) | secrets


def variable_names(settings: type[BaseSettings]) -> set[str]:
    return {variable.name for variable in variables(settings)}


@pytest.mark.parametrize("process", PROCESSES)
def test_a_container_passes_on_every_setting_of_its_program_and_no_other(process: str) -> None:
    settings, service = PROCESSES[process], dict(every_service())[process]
    prefixes = (str(settings.model_config["env_prefix"]), "MESH_")
    own = {name for name in configured_names(service) if name.startswith(prefixes)}
    assert own | SET_IN_IMAGE >= variable_names(settings) | variable_names(MeshSettings) - {"OTEL_EXPORTER_OTLP_ENDPOINT"}
    assert own <= variable_names(settings) | variable_names(MeshSettings)


def test_the_example_of_settings_matches_the_settings_classes() -> None:
    assert (FOLDER / ".env.example").read_text() == example.text()


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_takes_at_most_4250_mb_besides_the_shared_core(stack: str) -> None:
    own = {name: service for name, service in services(stack).items() if name not in (*BY_HAND, *services("core.yml"))}
    assert sum(int(service["mem_limit"].removesuffix("m")) for service in own.values()) <= 4250


@pytest.mark.parametrize(("name", "service"), every_service())
def test_a_container_has_minimal_privileges(name: str, service: Service) -> None:
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert service["pids_limit"] <= 1024
    assert service["logging"]["options"]["max-size"]
    assert "privileged" not in service and "root" not in str(service.get("user", ""))
    assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_hadoop_publishes_nothing_and_is_in_a_network_of_its_own() -> None:
    members = {name for name, service in every_service() if "cluster" in service.get("networks", ())}
    hadoop = {"namenode", "datanode", "resourcemanager", "nodemanager", "history", "folders", "land"}
    assert members - hadoop == {"jobs", "jobs-worker", "minio"}
    assert all(service["networks"] == ["cluster"] and "ports" not in service for name, service in every_service() if name in hadoop)


@pytest.mark.parametrize(("name", "service"), every_service())
def test_servers_have_health_checks_and_one_time_containers_do_not_restart(name: str, service: Service) -> None:
    if name in ONCE or name in BY_HAND:
        assert service["restart"] == "no"
    else:
        assert service["healthcheck"]["test"]
        assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize(("name", "service"), every_service())
def test_no_secret_is_in_the_environment_or_on_a_command_line(name: str, service: Service) -> None:
    suspicious = re.compile(r"SECRET|PASSWORD|ACCESS_KEY|DATABASE_(DIRECT_)?URL")
    assert [variable for variable in service.get("environment", {}) if suspicious.search(variable) and not variable.endswith("_FILE")] == []
    assert not suspicious.search(str(service.get("command", "")))


def test_dependencies_are_services_that_start() -> None:
    for stack in STACKS:
        known = services(stack)
        for name, service in known.items():
            for other, how in service.get("depends_on", {}).items():
                assert other in known, f"{name} depends on {other}"
                # A dependency that a profile may leave out is optional, except for services with the same profile.
                if known[other].get("profiles") and known[other]["profiles"] != service.get("profiles"):
                    assert how.get("required") is False, f"{name} requires {other}"


def test_every_image_has_a_target() -> None:
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", (FOLDER / "Dockerfile").read_text(), re.MULTILINE))
    for name, service in every_service():
        if "build" in service:
            assert service["build"]["target"] in targets
            assert service["image"] == f"hashiramart/{service['build']['target']}", name


def test_both_stacks_have_the_same_version_of_the_store() -> None:
    assert f"MINIO_VERSION={minio.VERSION}" in (FOLDER / "Dockerfile").read_text()


def test_images_that_build_on_another_have_the_same_package_versions() -> None:
    def versions(role: str) -> dict[str, str]:
        text = (ROOT / "requirements" / f"{role}.txt").read_text()
        return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==(\S+)", text, re.MULTILINE))

    for below, above in (("mesh", "models"), ("spark", "train"), ("mesh", "train"), ("mesh", "spark")):
        both = versions(below).items() ^ versions(above).items()
        assert {name for name, _ in both if name in versions(below) and name in versions(above)} == set()


def test_secrets_and_data_are_not_in_the_build_context() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    assert {"compose/.env", "compose/secrets"} <= set(ignored)
    assert not any(Path(line.removeprefix("!")).name in ("datasets", ".local") for line in ignored)
