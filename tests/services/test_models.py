"""The RPCs about a service's model: versions, promotion and rollback."""

from collections.abc import Callable, Iterator

import grpc
import pytest

from hashiramart.model.v1 import model_pb2
from hashiramart.recommender.v1 import recommender_pb2_grpc
from hashiramart.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from mesh.identity import Role
from mesh.paging import PageTokens
from mesh.server import Server
from ml.registry.champion import Champion
from services.models import ModelServicer
from tests.callers import Issuer
from tests.engines.mlflow import Mlflow
from tests.loops import Loop
from tests.ml.model_registry import LINEAGE, ModelRegistry
from tests.ml.standin.model import Standin
from tests.services.errors import fails_with

MODEL = "hashiramart-recommender"


class OnlyModels(ModelServicer[Standin], recommender_pb2_grpc.RecommenderServiceServicer):
    """A model service with a small model."""


@pytest.fixture(scope="module")
def shared_registry(mlflow: Mlflow, loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelRegistry]:
    registry = ModelRegistry(mlflow.url, MODEL, tmp_path_factory.mktemp("registry"), loop)
    yield registry
    registry.close()
    mlflow.forget(MODEL)


@pytest.fixture(scope="module")
def promoted(shared_registry: ModelRegistry, tmp_path_factory: pytest.TempPathFactory) -> Champion[Standin]:
    return shared_registry.champion_in(tmp_path_factory.mktemp("promoted"))


@pytest.fixture(scope="module")
def grpc_servicer(shared_registry: ModelRegistry, promoted: Champion[Standin]) -> OnlyModels:
    return OnlyModels(shared_registry.client, promoted, PageTokens(b"secret"))  # type: ignore[abstract]


@pytest.fixture(scope="module")
def grpc_add_to_server() -> Callable[[OnlyModels, Server], None]:
    return recommender_pb2_grpc.add_RecommenderServiceServicer_to_server


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[RecommenderServiceStub]:
    return RecommenderServiceStub


@pytest.fixture
def registry(shared_registry: ModelRegistry, mlflow: Mlflow) -> ModelRegistry:
    """The registry, without versions."""
    mlflow.forget(MODEL)
    return shared_registry


class ModelClient:
    """Calls the RPCs about a model as one user."""

    def __init__(self, stub: RecommenderServiceStub, metadata: tuple[tuple[str, str], ...]) -> None:
        self._stub = stub
        self._metadata = metadata

    def get(self, version: str = "") -> model_pb2.Model:
        return self._stub.GetModel(model_pb2.GetModelRequest(version=version), metadata=self._metadata, timeout=10)

    def page(self, page_size: int = 0, page_token: str = "") -> model_pb2.ListModelsResponse:
        request = model_pb2.ListModelsRequest(page_size=page_size, page_token=page_token)
        return self._stub.ListModels(request, metadata=self._metadata, timeout=10)

    def promote(self, version: str, *, force: bool = False) -> model_pb2.Model:
        request = model_pb2.PromoteModelRequest(version=version, force=force)
        return self._stub.PromoteModel(request, metadata=self._metadata, timeout=10)

    def roll_back(self) -> model_pb2.Model:
        return self._stub.RollbackModel(model_pb2.RollbackModelRequest(), metadata=self._metadata, timeout=10)


@pytest.fixture
def admin(grpc_stub: RecommenderServiceStub, issuer: Issuer) -> ModelClient:
    return ModelClient(grpc_stub, issuer.metadata(Role.ADMIN))


@pytest.fixture
def staff(grpc_stub: RecommenderServiceStub, issuer: Issuer) -> ModelClient:
    return ModelClient(grpc_stub, issuer.metadata(Role.STAFF))


def test_before_a_promotion_there_is_no_champion(registry: ModelRegistry, staff: ModelClient) -> None:
    registry.register(1)
    with fails_with(grpc.StatusCode.UNAVAILABLE, "NO_MODEL"):
        staff.get()


def test_a_version_has_its_metrics_and_lineage(registry: ModelRegistry, staff: ModelClient) -> None:
    model = staff.get(registry.register(1))
    assert (model.version, list(model.aliases), model.serving, model.HasField("promote_time")) == ("1", ["challenger"], False, False)
    assert (model.recipe, model.data_through_date, dict(model.metrics)) == ("quick", "2011-12-09", {"test.score": 0.9})
    [check] = model.gate.checks
    assert (model.gate.passed, check.name, check.passed, check.measured, check.required) == (
        True,
        "test.score beats the baseline",
        True,
        0.9,
        0.5,
    )
    lineage = model.lineage
    assert (lineage.dvc_revision, lineage.data_hash, lineage.code_commit) == (LINEAGE.dvc_revision, LINEAGE.data_hash, LINEAGE.code_commit)
    assert (lineage.job_id, lineage.etl_job_id, tuple(lineage.raw_files)) == ("job-7", "job-6", LINEAGE.raw_files)
    assert lineage.run_url.endswith(f"/runs/{lineage.run_id}")


def test_a_promoted_version_is_served_at_once(registry: ModelRegistry, admin: ModelClient, promoted: Champion[Standin]) -> None:
    registry.register(1)
    model = admin.promote("1")
    assert (list(model.aliases), model.serving, model.HasField("promote_time")) == (["champion"], True, True)
    assert admin.get() == model
    assert promoted.serving
    assert promoted.serving.model.answer == 1


def test_a_rollback_is_one_call_and_can_be_undone(registry: ModelRegistry, admin: ModelClient) -> None:
    for answer in (1, 2):
        admin.promote(registry.register(answer))
    assert (admin.roll_back().version, list(admin.get("2").aliases), admin.get("2").serving) == ("1", ["previous"], False)
    assert admin.roll_back().version == "2"


def test_without_a_previous_champion_there_is_no_rollback(registry: ModelRegistry, admin: ModelClient) -> None:
    admin.promote(registry.register(1))
    with fails_with(grpc.StatusCode.FAILED_PRECONDITION, "NO_PREVIOUS_MODEL"):
        admin.roll_back()


def test_versions_are_listed_newest_first_and_paged(registry: ModelRegistry, staff: ModelClient) -> None:
    for answer in (1, 2, 3):
        registry.register(answer)
    first = staff.page(2)
    second = staff.page(2, first.next_page_token)
    assert [[model.version for model in page.models] for page in (first, second)] == [["3", "2"], ["1"]]
    assert second.next_page_token == ""


def test_an_unknown_version_is_not_found(registry: ModelRegistry, admin: ModelClient) -> None:
    calls: list[Callable[[], object]] = [lambda: admin.get("7"), lambda: admin.promote("7")]
    for call in calls:
        with fails_with(grpc.StatusCode.NOT_FOUND, "MODEL_VERSION_NOT_FOUND"):
            call()


def test_a_version_that_did_not_pass_the_gate_is_only_promoted_by_force(registry: ModelRegistry, admin: ModelClient) -> None:
    number = registry.register(1, passed=False)
    with fails_with(grpc.StatusCode.FAILED_PRECONDITION, "MODEL_REFUSED_BY_GATE"):
        admin.promote(number)
    assert admin.promote(number, force=True).serving


def test_a_version_that_cannot_be_served_is_not_promoted(registry: ModelRegistry, admin: ModelClient) -> None:
    admin.promote(registry.register(1))
    broken = registry.register(2, expected=3)
    with fails_with(grpc.StatusCode.FAILED_PRECONDITION, "MODEL_UNFIT"):
        admin.promote(broken)
    assert admin.get().version == "1"


def test_only_admins_promote(registry: ModelRegistry, staff: ModelClient) -> None:
    registry.register(1)
    calls: list[Callable[[], object]] = [lambda: staff.promote("1"), staff.roll_back]
    for call in calls:
        with fails_with(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
            call()


def test_without_the_registry_calls_are_unavailable(registry: ModelRegistry, admin: ModelClient, mlflow: Mlflow) -> None:
    admin.promote(registry.register(1))
    with mlflow.stopped():
        for call in (admin.get, admin.page, admin.roll_back, lambda: admin.promote("1")):
            with fails_with(grpc.StatusCode.UNAVAILABLE, "REGISTRY_UNAVAILABLE"):
                call()
