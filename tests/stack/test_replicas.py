"""Several processes of each service on one machine."""

from pathlib import Path

from stack.processes.definitions import processes
from stack.processes.process import Process
from tests.engines.ports import own_settings

REPLICATED = ("auth", "catalog", "recommender", "forecaster", "jobs", "gateway", "jobs-worker")


def stack(folder: Path, replicas: int) -> dict[str, Process]:
    settings = own_settings(folder).model_copy(update={"replicas": replicas})
    return {process.name: process for process in processes(settings)}


def test_services_gateway_and_worker_have_a_second_process_and_engines_have_not(tmp_path: Path) -> None:
    assert stack(tmp_path, 2).keys() - stack(tmp_path, 1).keys() == {f"{name}-2" for name in REPLICATED}


def test_replicas_share_no_port_and_no_folder(tmp_path: Path) -> None:
    found = stack(tmp_path, 2)
    ports = [port for process in found.values() for port in process.ports.values()]
    assert len(ports) == len({*ports})
    for name in REPLICATED:
        first, second = (found[each].program.environment for each in (name, f"{name}-2"))
        own = {variable for variable in first if variable.endswith(("_LISTEN", "_MODEL_FOLDER", "_TRAINING_FOLDER"))}
        assert {variable for variable in first if first[variable] != second[variable]} == own


def test_callers_know_all_replicas_of_a_service(tmp_path: Path) -> None:
    found = stack(tmp_path, 2)
    both = [next(iter(found[name].ports.values())) for name in ("catalog", "catalog-2")]
    address = found["gateway-2"].program.environment["GATEWAY_CATALOG_ADDRESS"]
    assert address == f"ipv4:127.0.0.1:{both[0]},127.0.0.1:{both[1]}"
    assert stack(tmp_path, 1)["gateway"].program.environment["GATEWAY_CATALOG_ADDRESS"].startswith("127.0.0.1:")
