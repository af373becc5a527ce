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
from tests.services.errors import error_of, fails_with

MODEL = "hashiramart-recommender"


class OnlyModels(ModelServicer[Standin], recommender_pb2_grpc.RecommenderServiceServicer):
    """A model service with a small model."""


@pytest.fixture(scope="module")
def shared_registry(mlflow: Mlflow, loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelRegistry]:
    registry = ModelRegistry(mlflow, MODEL, tmp_path_factory.mktemp("registry"), loop)
    yield registry
    registry.close()


@pytest.fixture(scope="module")
def promoted(shared_registry: ModelRegistry, tmp_path_factory: pytest.TempPathFactory) -> Champion[Standin]:
    return shared_registry.champion_in(tmp_path_factory.mktemp("promoted"))


@pytest.fixture(scope="module")
def grpc_servicer(shared_registry: ModelRegistry, promoted: Champion[Standin]) -> OnlyModels:
    return OnlyModels(shared_registry.client, promoted, PageTokens(b"secret"), "Europe/London")  # type: ignore[abstract]


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

    def promote(self, version: str, expected: str = "", *, reason: str = "a good model", force: bool = False) -> model_pb2.Model:
        """expected: the version that is the champion; by default there is none"""
        request = model_pb2.PromoteModelRequest(version=version, expected_champion_version=expected, reason=reason, force=force)
        return self._stub.PromoteModel(request, metadata=self._metadata, timeout=10)

    def roll_back(self, expected: str, *, reason: str = "a bad model") -> model_pb2.Model:
        request = model_pb2.RollbackModelRequest(expected_champion_version=expected, reason=reason)
        return self._stub.RollbackModel(request, metadata=self._metadata, timeout=10)


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
    assert (model.version, list(model.aliases), model.serving, model.HasField("promotion")) == ("1", ["challenger"], False, False)
    assert (model.recipe, dict(model.metrics)) == (model_pb2.RECIPE_QUICK, {"test.score": 0.9})
    assert (model.data_through_date, model.time_zone) == ("2011-12-09", "Europe/London")
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
    assert (list(model.aliases), model.serving, model.HasField("promotion")) == (["champion"], True, True)
    assert admin.get() == model
    assert promoted.serving
    assert promoted.serving.model.answer == 1


def test_a_promotion_and_a_rollback_are_kept_with_their_reasons(registry: ModelRegistry, admin: ModelClient) -> None:
    for answer, before in ((1, ""), (2, "1")):
        admin.promote(registry.register(answer), before, reason=f"better than {before or 'nothing'}")
    promotion = admin.get("2").promotion
    assert (promotion.reason, promotion.replaced_version, promotion.rollback) == ("better than 1", "1", False)
    assert promotion.promoted_by
    model = admin.roll_back("2", reason="fewer orders since")
    assert (model.version, model.serving, admin.get().version) == ("1", True, "1")
    assert (model.promotion.reason, model.promotion.replaced_version, model.promotion.rollback) == ("fewer orders since", "2", True)


def test_a_repeated_call_changes_nothing(registry: ModelRegistry, admin: ModelClient) -> None:
    for answer, before in ((1, ""), (2, "1"), (3, "2")):
        admin.promote(registry.register(answer), before)
    promoted = admin.get()
    assert admin.promote("3", "2", reason="again") == promoted
    rolled_back = admin.roll_back("3")
    assert rolled_back.version == "2"
    assert admin.roll_back("3", reason="again") == rolled_back
    with fails_with(grpc.StatusCode.FAILED_PRECONDITION, "MODEL_ROLLED_BACK"):
        admin.promote("3", "2")
    assert admin.get() == rolled_back


def test_a_further_rollback_goes_further_back(registry: ModelRegistry, admin: ModelClient) -> None:
    for answer, before in ((1, ""), (2, "1"), (3, "2")):
        admin.promote(registry.register(answer), before)
    assert [admin.roll_back(expected).version for expected in ("3", "2")] == ["2", "1"]
    assert [list(admin.get(number).aliases) for number in ("1", "2", "3")] == [["champion"], [], []]
    error = error_of(lambda: admin.roll_back("1"))
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_PREVIOUS_MODEL")
    assert error.metadata == {"champion_version": "1"}


def test_another_champion_than_expected_is_named(registry: ModelRegistry, admin: ModelClient) -> None:
    for answer in (1, 2):
        registry.register(answer)
    calls: list[tuple[Callable[[], object], str, str]] = [
        (lambda: admin.promote("1", "2"), "", "2"),
        (lambda: admin.roll_back("2"), "", "2"),
    ]
    for call, champion, expected in calls:
        error = error_of(call)
        assert (error.code, error.reason) == (grpc.StatusCode.ABORTED, "CHAMPION_CHANGED")
        assert error.metadata == {"champion_version": champion, "expected_champion_version": expected}
    admin.promote("1")
    calls = [(lambda: admin.promote("2", ""), "1", ""), (lambda: admin.roll_back("2"), "1", "2")]
    for call, champion, expected in calls:
        error = error_of(call)
        assert (error.reason, error.metadata) == (
            "CHAMPION_CHANGED",
            {"champion_version": champion, "expected_champion_version": expected},
        )
    assert admin.get().version == "1"


@pytest.mark.parametrize("call", [lambda admin: admin.promote("1", reason=""), lambda admin: admin.roll_back("1", reason="")])
def test_a_promotion_and_a_rollback_have_a_reason(
    registry: ModelRegistry, admin: ModelClient, call: Callable[[ModelClient], object]
) -> None:
    registry.register(1)
    with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
        call(admin)
    assert list(violations) == ["reason"]


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
        admin.promote(broken, "1")
    assert admin.get().version == "1"


def test_only_admins_promote(registry: ModelRegistry, staff: ModelClient) -> None:
    registry.register(1)
    calls: list[Callable[[], object]] = [lambda: staff.promote("1"), lambda: staff.roll_back("1")]
    for call in calls:
        with fails_with(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
            call()


def test_without_the_registry_calls_are_unavailable(registry: ModelRegistry, admin: ModelClient, mlflow: Mlflow) -> None:
    admin.promote(registry.register(1))
    with mlflow.stopped():
        calls: list[Callable[[], object]] = [admin.get, admin.page, lambda: admin.roll_back("1"), lambda: admin.promote("1")]
        for call in calls:
            with fails_with(grpc.StatusCode.UNAVAILABLE, "REGISTRY_UNAVAILABLE"):
                call()
