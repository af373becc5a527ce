"""Every method of the contracts has the same responses and the same errors by REST and by gRPC."""

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from hashiramart.access.v1 import access_pb2
from tests.e2e.shop import Json, Outcome, Shop, service_name
from tests.e2e.stack import own_stack, running
from tests.gateway import corpus
from tests.gateway.corpus import Binding, is_unary

# The roles that may not call a method, by its access.
DENIED_ROLES = {
    access_pb2.ACCESS_PUBLIC: [],
    access_pb2.ACCESS_USER: ["nobody"],
    access_pb2.ACCESS_SHOPPER: ["nobody"],
    access_pb2.ACCESS_SHOPPER_OR_SYSTEM: ["nobody"],
    access_pb2.ACCESS_STAFF: ["nobody", "customer"],
    access_pb2.ACCESS_STAFF_OR_SERVICE: ["nobody", "customer"],
    access_pb2.ACCESS_ADMIN: ["nobody", "customer", "staff"],
}
UUID = "3f6b1f8e-7f86-4d3b-9a35-3e9be8c54b2f"
BINDINGS = corpus.bindings()
# Calls with responses, in this order; `{}` stands for a word that differs between REST and gRPC.
VALID: list[tuple[str, str, Json]] = [
    ("POST /users", "nobody", {"email": "{}@example.com", "password": "correct horse battery", "display_name": "Ann 🕯️"}),
    ("POST /auth/token", "nobody", {"grant_type": "password", "username": "staff@example.com", "password": "correct horse battery"}),
    ("POST /auth/revoke", "nobody", {"token": "unknown"}),
    ("GET /.well-known/jwks.json", "nobody", {}),
    ("GET /users/me", "customer", {}),
    ("PATCH /users/me", "customer", {"display_name": "Ann"}),
    ("GET /users", "admin", {"page_size": 2, "search": "EXAMPLE.com", "role": "ROLE_STAFF"}),
    ("GET /users/me/sign-ins", "customer", {"page_size": 1}),
    ("DELETE /users/me/sign-ins/{id}", "customer", {"id": UUID}),
    ("POST /auth/password-reset", "nobody", {"email": "nobody-{}@example.com"}),
    ("POST /users/me/email-verification", "customer", {}),
    ("POST /users/me/second-factor:disable", "customer", {"current_password": "correct horse battery", "one_time_code": "000000"}),
    ("GET /audit-events", "admin", {"page_size": 1, "subject": "no subject", "code": "OK"}),
    (
        "POST /products",
        "staff",
        {"product": {"id": "{}-1", "name": "“Heart” & co", "price_cents": 255, "stock": 3, "category": "a/b"}},
    ),
    ("POST /products", "staff", {"product": {"id": "{}-2", "name": "Mug"}, "request_id": "{}"}),
    ("GET /products/{id}", "nobody", {"id": "{}-1"}),
    ("PUT /products/{product.id}", "staff", {"product": {"id": "{}-1", "name": "Heart", "currency_code": "GBP"}}),
    ("PATCH /products/{product.id}", "staff", {"product": {"id": "{}-1", "stock": 7, "name": "x"}, "update_mask": "stock"}),
    ("DELETE /products/{id}", "staff", {"id": "{}-1"}),
    ("POST /products/{id}:undelete", "staff", {"id": "{}-1"}),
    (
        "GET /products",
        "nobody",
        {"search": "heart {}", "availability": "AVAILABILITY_IN_STOCK", "max_price_cents": 1000, "order_by": "price_cents desc,name"},
    ),
    ("GET /products:batchGet", "nobody", {"ids": ["{}-2", "nothing", "{}-1"]}),
    ("POST /products:batchGet", "nobody", {"ids": ["{}-2", "nothing", "{}-1"]}),
    ("GET /categories", "nobody", {"page_size": 1, "availability": "AVAILABILITY_SOLD_OUT"}),
    ("GET /products/{product_id}/similar", "nobody", {"product_id": "{}-1", "page_size": 1}),
    ("GET /recommendations/popular", "nobody", {"page_size": 1, "availability": "AVAILABILITY_ANY"}),
    (
        "GET /recommendations/me",
        "customer",
        {"page_size": 1, "basket_ids": ["{}-1"], "max_price_cents": 1000, "availability": "AVAILABILITY_ANY"},
    ),
    ("POST /recommendations/me:query", "customer", {"exclude_ids": ["{}-1"] * 500, "page_size": 1}),
    ("POST /events", "customer", {"events": [{"id": "{}", "kind": "EVENT_KIND_VIEW", "product_id": "{}-1"}], "request_id": "{}"}),
    ("GET /recommendations/slots", "staff", {"page_size": 1}),
    ("PUT /recommendations/slots/{slot.id}", "staff", {"slot": {"id": "{}-shelf", "size": 4, "exploration_share": 0.5}}),
    ("GET /recommendations/slots/{id}", "staff", {"id": "{}-shelf"}),
    (
        "PUT /recommendations/rules/{rule.id}",
        "staff",
        {"rule": {"id": "{}-rule", "action": "RULE_ACTION_BOOST", "product_id": "{}-1", "slot": "email"}},
    ),
    ("GET /recommendations/rules", "staff", {"page_size": 1}),
    ("GET /recommendations/rules/{id}", "staff", {"id": "{}-rule"}),
    ("DELETE /recommendations/rules/{id}", "staff", {"id": "{}-rule"}),
    (
        "PUT /experiments/{experiment.id}",
        "staff",
        {"experiment": {"id": "{}-test", "treatment": {"id": "{}-shelf", "size": 2}, "traffic_share": 0.5}},
    ),
    ("POST /experiments/{id}:start", "staff", {"id": "{}-test"}),
    ("GET /experiments/{id}", "staff", {"id": "{}-test"}),
    ("GET /experiments/{id}/report", "staff", {"id": "{}-test"}),
    ("POST /experiments/{id}:stop", "staff", {"id": "{}-test"}),
    ("POST /experiments/{id}:conclude", "staff", {"id": "{}-test", "decision": "EXPERIMENT_DECISION_KEEP"}),
    ("GET /experiments", "staff", {"page_size": 1}),
    ("DELETE /experiments/{id}", "staff", {"id": "{}-test"}),
    ("DELETE /recommendations/slots/{id}", "staff", {"id": "{}-shelf"}),
    ("POST /recommendations:preview", "staff", {"slot": {"id": "home", "size": 1}}),
    ("POST /recommendations:estimate", "staff", {"slot": {"id": "email"}}),
    ("GET /exposures", "staff", {"user_id": UUID}),
    ("GET /models/recommender/shadows", "staff", {"page_size": 1}),
    ("GET /models/recommender/shadows/{id}/report", "staff", {"id": "7"}),
    ("DELETE /models/recommender/shadows/{id}", "staff", {"id": "7"}),
    (
        "POST /calendar/entries",
        "staff",
        {"entry": {"id": "{}-day", "kind": "CALENDAR_ENTRY_KIND_HOLIDAY", "first_date": "2012-01-02"}, "request_id": "{}-day"},
    ),
    ("GET /calendar/entries/{id}", "staff", {"id": "{}-day"}),
    ("PATCH /calendar/entries/{entry.id}", "staff", {"entry": {"id": "{}-day", "name": "x"}, "update_mask": "name"}),
    ("GET /calendar/entries", "staff", {"page_size": 1, "kind": "CALENDAR_ENTRY_KIND_HOLIDAY"}),
    ("DELETE /calendar/entries/{id}", "staff", {"id": "{}-day"}),
    (
        "POST /calendar/entries:import",
        "staff",
        {"format": "CALENDAR_FILE_FORMAT_CSV", "content": "kind,first_date\nholiday,2012-13-01\n", "validate_only": True},
    ),
    ("POST /calendar/holidays:import", "staff", {"country_code": "GB", "first_year": 2012, "validate_only": True}),
    (
        "PATCH /reorder/policies/{policy.product_id}",
        "staff",
        {"policy": {"product_id": "{}-1", "lead_time_days": 3}, "update_mask": "leadTimeDays"},
    ),
    ("GET /reorder/policies", "staff", {"page_size": 1}),
    ("GET /forecasts/accuracy", "staff", {}),
    ("GET /forecasts/outliers", "staff", {"level": "SERIES_LEVEL_PRODUCT", "page_size": 1}),
    ("DELETE /reorder/policies/{product_id}", "staff", {"product_id": "{}-1"}),
    ("POST /jobs/etl", "staff", {"through_date": "2011-12-09", "full": True, "request_id": "{}"}),
    (
        "POST /jobs/training/{model}",
        "staff",
        {"model": "MODEL_KIND_RECOMMENDER", "recipe": "RECIPE_QUICK", "request_id": "{}-training"},
    ),
    ("GET /jobs", "staff", {"page_size": 1, "kind": "JOB_KIND_ETL", "states": ["JOB_STATE_QUEUED"]}),
    (
        "POST /schedules",
        "staff",
        {"schedule": {"id": "{}-weekly", "cron": "30 3 * * MON", "etl_spec": {"full": True}, "paused": True}, "request_id": "{}-weekly"},
    ),
    ("GET /schedules/{id}", "staff", {"id": "{}-weekly"}),
    ("PATCH /schedules/{schedule.id}", "staff", {"schedule": {"id": "{}-weekly", "name": "x"}, "update_mask": "name"}),
    ("GET /schedules", "staff", {"page_size": 1}),
    ("POST /schedules/{id}:run", "staff", {"id": "{}-weekly", "request_id": "{}-run"}),
    ("DELETE /schedules/{id}", "staff", {"id": "{}-weekly"}),
]
# Calls that break a rule or name something that does not exist.
INVALID: list[tuple[str, str, Json]] = [
    ("POST /users", "nobody", {"email": "ann", "password": "correct horse battery"}),
    ("POST /users", "nobody", {"email": "ann@example.com", "password": "short"}),
    ("POST /users", "nobody", {"email": "staff@example.com", "password": "correct horse battery"}),
    ("GET /users/{id}", "admin", {"id": UUID}),
    ("GET /users/{id}", "admin", {"id": "ann"}),
    ("PATCH /users/{user.id}", "admin", {"user": {"id": UUID, "role": "ROLE_STAFF"}, "update_mask": "role"}),
    ("PATCH /users/{user.id}", "admin", {"user": {"id": UUID, "email": "ann@example.com"}, "update_mask": "email"}),
    ("PATCH /users/me", "customer", {"email": "other@example.com", "current_password": "wrong horse"}),
    ("GET /users", "admin", {"page_token": "nonsense"}),
    ("DELETE /users/me/sign-ins/{id}", "customer", {"id": "mine"}),
    ("GET /audit-events", "admin", {"page_token": "nonsense"}),
    ("POST /auth/password-reset:confirm", "nobody", {"token": "unknown", "password": "correct horse battery"}),
    ("POST /auth/email-verification:confirm", "nobody", {"token": "unknown"}),
    ("POST /users/{id}:resetPassword", "admin", {"id": UUID}),
    ("POST /users/me/second-factor", "customer", {"current_password": "wrong horse"}),
    ("POST /users/me/second-factor:confirm", "customer", {"one_time_code": "000000"}),
    ("POST /users/{id}:resetSecondFactor", "admin", {"id": UUID}),
    ("GET /products", "nobody", {"page_size": -1}),
    ("GET /products", "nobody", {"page_token": "nonsense"}),
    ("GET /products", "nobody", {"order_by": "name; drop table products"}),
    ("GET /products", "nobody", {"show_deleted": True}),
    ("GET /products/{id}", "nobody", {"id": "nothing"}),
    ("GET /products/{id}", "nobody", {"id": "not an id"}),
    ("GET /products:batchGet", "nobody", {}),
    ("POST /products", "staff", {"product": {"id": "a b", "price_cents": -1}}),
    ("POST /products", "staff", {"product": {"id": "x", "name": "x", "currency_code": "pounds"}}),
    ("PUT /products/{product.id}", "staff", {"product": {"id": "nothing", "name": "x"}}),
    ("PATCH /products/{product.id}", "staff", {"product": {"id": "nothing", "name": "x"}, "update_mask": "nonsense"}),
    ("PATCH /products/{product.id}", "staff", {"product": {"id": "nothing", "name": "x"}, "update_mask": "name"}),
    ("DELETE /products/{id}", "staff", {"id": "nothing"}),
    ("POST /products/{id}:undelete", "staff", {"id": "nothing"}),
    ("GET /products/{product_id}/similar", "nobody", {"product_id": "nothing"}),
    ("GET /recommendations/popular", "nobody", {"page_token": "nonsense"}),
    ("GET /recommendations/me", "customer", {"page_size": -1}),
    ("GET /customers/{customer_number}/recommendations", "staff", {"customer_number": "12346"}),
    ("POST /customers/{customer_number}/recommendations:query", "staff", {"customer_number": "12346", "exclude_ids": ["x"]}),
    ("POST /recommendations/me:query", "customer", {"exclude_ids": ["not an id"], "basket_ids": ["x"] * 101}),
    ("GET /customers/{customer_number}/purchases", "staff", {"customer_number": "not a number"}),
    ("GET /recommendations/me", "customer", {"slot": "nowhere"}),
    ("GET /recommendations/rules/{id}", "staff", {"id": "none"}),
    (
        "PUT /recommendations/rules/{rule.id}",
        "staff",
        {"rule": {"id": "broken", "action": "RULE_ACTION_PIN", "category": "None", "end_time": "2020-01-01T00:00:00Z"}},
    ),
    ("PUT /experiments/{experiment.id}", "staff", {"experiment": {"id": "broken", "treatment": {"id": "none"}, "traffic_share": 1}}),
    ("POST /experiments/{id}:start", "staff", {"id": "none"}),
    ("GET /experiments/{id}/report", "staff", {"id": "none"}),
    ("POST /events", "customer", {}),
    ("POST /events", "customer", {"events": [{"kind": "EVENT_KIND_VIEW", "product_id": "x", "event_time": "2999-01-01T00:00:00Z"}]}),
    # MLflow does not run.
    ("GET /models/recommender", "staff", {}),
    ("GET /models/recommender/versions", "staff", {}),
    ("GET /models/recommender/versions/{version}", "staff", {"version": "1"}),
    ("PUT /models/recommender/shadows/{shadow.id}", "staff", {"shadow": {"id": "1", "traffic_share": 0.5}}),
    ("POST /models/recommender:promote", "admin", {"version": "1", "reason": "it is better"}),
    ("POST /models/recommender:rollback", "admin", {"expected_champion_version": "1", "reason": "it is worse"}),
    ("POST /jobs/etl", "staff", {"through_date": "2011-02-30"}),
    ("POST /jobs/training/{model}", "staff", {"model": 3}),
    ("GET /jobs/{id}/logs", "staff", {"id": "nothing", "after_number": -1}),
    ("GET /jobs", "staff", {"page_token": "nonsense"}),
    ("GET /jobs/{id}", "staff", {"id": "nothing"}),
    ("GET /jobs/{id}", "staff", {"id": "no job"}),
    ("GET /jobs/{id}/logs", "staff", {"id": "nothing"}),
    ("POST /jobs/{id}:cancel", "staff", {"id": "nothing"}),
    # Neither HDFS nor the store runs.
    ("GET /raw-files", "staff", {}),
    ("GET /raw-files", "staff", {"page_token": "nonsense"}),
    ("DELETE /raw-files/{id}", "staff", {"id": "sales.csv"}),
    ("PUT /raw-files/uploads/{upload_id}", "staff", {"upload_id": "till", "name": "sales.csv", "content": "aW52b2ljZQ=="}),
    ("PUT /raw-files/uploads/{upload_id}", "staff", {"upload_id": "till", "name": "a/b", "offset": -1, "last": True}),
    ("GET /rejected-lines", "staff", {"date": "2011-02-30"}),
    ("GET /data-quality", "staff", {}),
    # There is neither a model nor a registry.
    ("GET /forecasts/sales", "staff", {"granularity": "GRANULARITY_WEEK", "levels": [50, 95], "product_id": "22423", "history_days": 0}),
    ("GET /forecasts/sales", "staff", {"horizon_days": 183, "levels": [0]}),
    ("POST /forecasts/sales:query", "staff", {"scenario": {"price_changes": [{"change_percent": 5}], "closed_dates": ["2011-12-24"]}}),
    ("GET /reorder/suggestions", "staff", {"only_due": True}),
    ("GET /reorder/backtest", "staff", {"lead_time_days": 7}),
    ("PATCH /calendar/entries/{entry.id}", "staff", {"entry": {"id": "nothing", "name": "x"}, "update_mask": "name"}),
    ("PATCH /reorder/policies/{policy.product_id}", "staff", {"policy": {"product_id": "x"}, "update_mask": "leadTimeDays"}),
    ("GET /forecasts/sales/explanation", "staff", {"country": "France"}),
    ("GET /forecasts/series", "staff", {"level": "SERIES_LEVEL_PRODUCT", "prefix": "22"}),
    ("GET /forecasts/series", "staff", {"page_token": "nonsense"}),
    ("GET /forecasts/sales/backtest", "staff", {"category": ""}),
    ("GET /forecasts/outliers", "staff", {"page_token": "nonsense"}),
    ("GET /models/forecaster", "staff", {}),
    ("GET /models/forecaster/versions/{version}", "staff", {"version": "7"}),
    ("GET /models/forecaster/versions", "staff", {"page_token": "nonsense"}),
    ("POST /models/forecaster:promote", "admin", {"version": "champion", "reason": ""}),
    ("POST /models/forecaster:rollback", "admin", {}),
]
# Fields that differ between two calls that do the same.
VARYING = re.compile(r"^(id|recommendation_id|etag|access_token|refresh_token|next_page_token|.*_time)$")


@pytest.mark.parametrize("binding", [each for each in BINDINGS if not each.method.server_streaming], ids=lambda each: each.name)
def test_access_is_denied_the_same(shop: Shop, binding: Binding) -> None:
    for role in DENIED_ROLES[binding.method.GetOptions().Extensions[access_pb2.access]]:
        by_rest, by_grpc = in_both_ways(shop, binding, role, minimal_request(binding))
        assert by_rest == by_grpc
        assert by_rest.error is not None
        assert by_rest.error[1] == ("TOKEN_MISSING" if role == "nobody" else "ROLE_NOT_ALLOWED")


@pytest.mark.parametrize("name", dict.fromkeys(name for name, _, _ in VALID))
def test_responses_are_the_same(shop: Shop, name: str) -> None:
    binding = binding_of(name)
    for _, role, request in (call for call in VALID if call[0] == name):
        by_rest = shop.by_rest(binding, role, message(binding, fill(request, "rest")))
        by_grpc = shop.by_grpc(binding, role, message(binding, fill(request, "grpc")))
        assert by_rest.error is None
        assert comparable(by_rest.response) == comparable(by_grpc.response)


@pytest.mark.parametrize(("name", "role", "request_"), INVALID)
def test_errors_are_the_same(shop: Shop, name: str, role: str, request_: Json) -> None:
    binding = binding_of(name)
    by_rest, by_grpc = in_both_ways(shop, binding, role, message(binding, request_))
    assert by_rest == by_grpc
    assert by_rest.error is not None


def test_import_reports_are_the_same(shop: Shop) -> None:
    binding = binding_of("POST /products:import")
    rows: list[Json] = [
        {"product": {"id": "row-1", "name": "One"}},
        {"product": {"id": "row-2", "price_cents": -5}},
        {"product": {"name": "Nameless"}},
        {"product": {"id": "row-1", "name": "One again"}},
    ]
    shop.by_grpc(binding, "staff", *(message(binding, row) for row in rows))  # so that both find the products
    by_rest, by_grpc = in_both_ways(shop, binding, "staff", *(message(binding, row) for row in rows))
    assert by_rest == by_grpc
    assert by_rest.response is not None
    assert (by_rest.response["row_count"], [failure["row"] for failure in by_rest.response["failures"]]) == (4, [2, 3])


@pytest.fixture(scope="module")
def shop_without_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop whose only running service is auth."""
    with running(own_stack(tmp_path_factory.mktemp("without_services"), ("auth", "gateway"))) as stack, closing(Shop(stack)) as shop:
        yield shop


@pytest.mark.parametrize(
    "binding", [each for each in BINDINGS if service_name(each.method) != "auth" and is_unary(each)], ids=lambda each: each.name
)
def test_a_service_that_does_not_run_is_named(shop_without_services: Shop, binding: Binding) -> None:
    by_rest = shop_without_services.by_rest(binding, "admin", minimal_request(binding))
    assert by_rest.error is not None
    assert by_rest.error[1:3] == ("SERVICE_UNAVAILABLE", f"{service_name(binding.method)} cannot be reached")


def test_every_binding_is_compared_with_grpc() -> None:
    compared = {name for name, _, _ in [*VALID, *INVALID]} | {"POST /products:import"}
    streams = {binding.name for binding in BINDINGS if binding.method.server_streaming}
    assert {binding.name for binding in BINDINGS} - compared == streams | {"DELETE /users/me"}


def in_both_ways(shop: Shop, binding: Binding, role: str, *requests: Message) -> tuple[Outcome, Outcome]:
    return shop.by_rest(binding, role, *requests), shop.by_grpc(binding, role, *requests)


def binding_of(name: str) -> Binding:
    return next(binding for binding in BINDINGS if binding.name == name)


def message(binding: Binding, content: Json) -> Message:
    return ParseDict(content, GetMessageClass(binding.method.input_type)())


def minimal_request(binding: Binding) -> Message:
    """A request with the variables of the path."""
    request = GetMessageClass(binding.method.input_type)()
    for variable in binding.variables:
        holder: Any = request
        *outer, last = variable.split(".")
        for name in outer:
            holder = getattr(holder, name)
        field = holder.DESCRIPTOR.fields_by_name[last]
        assert field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_ENUM)
        setattr(holder, last, "7" if field.type == FieldDescriptor.TYPE_STRING else 1)
    return request


def fill(content: Any, word: str) -> Any:
    """The content with a word in place of each `{}`."""
    if isinstance(content, dict):
        return {key: fill(value, word) for key, value in content.items()}
    if isinstance(content, list):
        return [fill(value, word) for value in content]
    return content.replace("{}", word) if isinstance(content, str) else content


def comparable(content: Any) -> Any:
    """The content without what may differ: varying fields, and both words, since a list has what was created in either way."""
    if isinstance(content, dict):
        return {key: (bool(value) if VARYING.match(key) else comparable(value)) for key, value in content.items()}
    if isinstance(content, list):
        return [comparable(value) for value in content]
    return re.sub("rest|grpc", "{}", content) if isinstance(content, str) else content
