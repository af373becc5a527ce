"""Recommendations: the best fallback step, of the products that the catalogue has."""

from collections.abc import Callable
from functools import partial

import grpc
import pytest

from hashiramart.catalog.v1 import catalog_pb2
from hashiramart.recommender.v1 import recommender_pb2
from tests.services.catalog.shop import Shop
from tests.services.errors import fails_with
from tests.services.recommender.conftest import Caller
from tests.services.recommender.shopper import Response, Shopper, event, ids, kinds, step
from tests.services.recommender.world import COFFEES, TEAS
from tests.services.waiting import eventually


def test_a_customer_is_served_by_the_ranker(ann: Shopper, shop: Shop) -> None:
    response = ann.recommendations()
    assert (step(response), response.model_version) == ("RANKER", "1")
    assert (response.data_through_date, response.time_zone) == ("2020-05-29", "America/New_York")
    assert [one.rank for one in response.recommendations] == list(range(1, 11))
    scores = [one.score for one in response.recommendations]
    assert scores == sorted(scores, reverse=True)
    first = response.recommendations[0].product
    assert first == shop.get(first.id)
    assert set(ids(response)) <= {*TEAS, "new"}


def test_reasons_contain_the_names_of_products(ann: Shopper, shop: Shop) -> None:
    response = ann.recommendations(page_size=100, include_purchased=False)
    because = [one.reason for one in response.recommendations if one.reason.kind == recommender_pb2.REASON_KIND_BECAUSE_YOU_BOUGHT]
    assert because
    for reason in because:
        names = [shop.get(id).name for id in reason.product_ids]
        assert reason.text == f"Because you bought {' and '.join(names)}."


def test_the_basket_of_a_new_user_decides_the_list(new_user: Shopper) -> None:
    assert step(new_user.recommendations()) == "POPULARITY"
    response = new_user.recommendations(basket_ids=["coffee03"])
    assert step(response) == "BASKET"
    assert set(ids(response)) <= {*COFFEES, "new"} - {"coffee03"}
    assert "BECAUSE_OF_BASKET" in kinds(response)


def test_a_view_changes_the_next_list(new_user: Shopper) -> None:
    new_user.view("coffee03")
    response = new_user.recommendations()
    assert step(response) == "BASKET"
    assert response.recommendations[0].product.id in COFFEES


def test_a_purchase_changes_the_next_list(new_user: Shopper) -> None:
    new_user.buy("coffee03", "coffee04")
    response = new_user.recommendations(page_size=100)
    assert step(response) == "RANKER"
    assert {"coffee03", "coffee04"} <= set(ids(response))
    assert not {"coffee03", "coffee04"} & set(ids(new_user.recommendations(page_size=100, include_purchased=False)))


def test_an_impression_does_not_count(new_user: Shopper) -> None:
    new_user.record(event(recommender_pb2.EVENT_KIND_IMPRESSION, "coffee03"))
    assert step(new_user.recommendations()) == "POPULARITY"


def test_purchases_can_be_left_out(ann: Shopper, staff: Shopper) -> None:
    bought = {purchase.product_id for purchase in staff.purchases("04", page_size=100).purchases}
    assert bought & set(ids(ann.recommendations()))
    assert not bought & set(ids(ann.recommendations(page_size=100, include_purchased=False)))


def test_filters_are_applied_before_the_list_is_cut(ann: Shopper) -> None:
    assert set(ids(ann.recommendations(category="Coffee"))) < set(COFFEES)
    assert len(ids(ann.recommendations(category="Coffee"))) == 10
    assert ids(ann.recommendations(category="Mugs")) == ["new"]
    assert set(ids(ann.recommendations(min_price_cents=103, max_price_cents=105))) == {"tea03", "tea04", "tea05"}
    assert ids(ann.recommendations(category="nothing")) == []


def test_excluded_products_and_the_basket_are_left_out(ann: Shopper) -> None:
    assert not {"tea03", "coffee04"} & set(ids(ann.recommendations(page_size=100, exclude_ids=["tea03"], basket_ids=["coffee04"])))


@pytest.mark.parametrize(
    "change", [lambda shop, id: shop.update(id, ["stock"], stock=0), lambda shop, id: shop.delete(id)], ids=["sold out", "deleted"]
)
def test_sold_out_and_deleted_products_are_left_out(ann: Shopper, shop: Shop, change: Callable[[Shop, str], object]) -> None:
    first = ids(ann.recommendations())[0]
    change(shop, first)
    eventually(lambda: first not in ids(ann.recommendations(page_size=100)))
    assert len(ids(ann.recommendations())) == 10
    shop.undelete(first) if not shop.batch(first).products else shop.update(first, ["stock"], stock=5)
    eventually(lambda: first in ids(ann.recommendations()))


def test_sold_out_products_are_listed_on_request(ann: Shopper, staff: Shopper, shop: Shop) -> None:
    shop.update("tea07", ["stock"], stock=0)
    eventually(lambda: "tea07" not in ids(ann.recommendations(page_size=100)))
    lists: list[Callable[..., Response]] = [
        ann.recommendations,
        ann.popular,
        partial(ann.similar, "tea01"),
        partial(staff.of_customer, "04"),
    ]
    for listed in lists:
        in_stock = ids(listed(page_size=100, availability=catalog_pb2.AVAILABILITY_IN_STOCK))
        assert ids(listed(page_size=100)) == in_stock
        assert ids(listed(page_size=100, availability=catalog_pb2.AVAILABILITY_SOLD_OUT)) == ["tea07"]
        assert set(ids(listed(page_size=100, availability=catalog_pb2.AVAILABILITY_ANY))) == {*in_stock, "tea07"}
    shop.update("tea07", ["stock"], stock=5)
    eventually(lambda: "tea07" in ids(ann.recommendations(page_size=100)))


def test_products_that_the_model_does_not_have_come_last(ann: Shopper, product: str) -> None:
    response = ann.recommendations(page_size=100)
    last = response.recommendations[-1]
    assert (last.product.id, last.source, kinds(response)[-1]) == (product, recommender_pb2.SOURCE_CATALOG, "IN_CATALOG")
    assert last.score <= response.recommendations[-2].score
    assert ids(ann.recommendations(category="Tea", min_price_cents=150)) == [product]


def test_pages_list_every_product_once(ann: Shopper, product: str) -> None:
    pages = list(ann.pages(page_size=7))
    shown = [id for page in pages for id in ids(page)]
    assert shown == ids(ann.recommendations(page_size=100))
    assert sorted(shown) == sorted([*TEAS, *COFFEES, "new", product])
    assert [one.rank for page in pages for one in page.recommendations] == list(range(1, len(shown) + 1))


def test_no_product_is_on_two_pages_even_if_the_order_changes(new_user: Shopper) -> None:
    first = new_user.recommendations(page_size=12)
    new_user.view("coffee03", "coffee04")
    rest = new_user.recommendations(page_size=100, page_token=first.next_page_token)
    assert sorted([*ids(first), *ids(rest)]) == sorted([*TEAS, *COFFEES, "new"])


def test_a_page_token_of_other_arguments_is_invalid(ann: Shopper) -> None:
    token = ann.recommendations().next_page_token
    with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN"):
        ann.recommendations(page_token=token, category="Tea")


def test_a_page_has_at_most_a_hundred_products(ann: Shopper) -> None:
    assert len(ids(ann.recommendations(page_size=1000))) == len([*TEAS, *COFFEES, "new"])


def test_similar_products_are_bought_by_the_same_customers(new_user: Shopper) -> None:
    response = new_user.similar("tea03")
    assert set(ids(response)) <= {*TEAS, "new"} - {"tea03"}
    assert (step(response), kinds(response)[0]) == ("SIMILARITY", "BOUGHT_TOGETHER")
    assert response.recommendations[0].reason.product_ids == ["tea03"]


def test_a_product_that_the_model_does_not_have_is_similar_to_its_category(new_user: Shopper, product: str) -> None:
    response = new_user.similar(product, page_size=100)
    assert set(ids(response)[: len(TEAS)]) == set(TEAS)
    assert (kinds(response)[0], kinds(response)[-1], step(response), response.model_version) == ("SIMILAR", "IN_CATALOG", "CATALOG", "")


def test_an_unknown_product_has_no_similar_products(new_user: Shopper) -> None:
    with fails_with(grpc.StatusCode.NOT_FOUND, "PRODUCT_NOT_FOUND"):
        new_user.similar("nothing")


def test_popular_products_of_a_country(new_user: Shopper) -> None:
    assert step(new_user.popular()) == "POPULARITY"
    assert "POPULAR" in kinds(new_user.popular())
    in_france = new_user.popular(country="France")
    assert (step(in_france), kinds(in_france)[0]) == ("COUNTRY_POPULARITY", "POPULAR_IN_COUNTRY")
    assert ids(new_user.popular(category="Mugs")) == ["new"]


def test_staff_see_what_a_customer_sees(ann: Shopper, staff: Shopper) -> None:
    assert staff.of_customer("04").recommendations == ann.recommendations().recommendations


def test_staff_see_the_recent_events_of_a_customer(caller: Caller, staff: Shopper) -> None:
    caller("98").view("coffee03")
    assert step(staff.of_customer("98")) == "BASKET"


def test_an_unknown_customer_is_not_found(staff: Shopper) -> None:
    for call in (lambda: staff.of_customer("99"), lambda: staff.purchases("99")):
        with fails_with(grpc.StatusCode.NOT_FOUND, "CUSTOMER_NOT_FOUND"):
            call()


def test_purchases_are_listed_latest_first(caller: Caller, staff: Shopper) -> None:
    caller("05").buy("tea03")
    latest, *before = staff.purchases("05", page_size=100).purchases
    assert (latest.product_id, latest.product.name, latest.quantity) == ("tea03", "white tea", 1)
    days = [purchase.purchase_date for purchase in before]
    assert days == sorted(days, reverse=True)
    assert days[0] < "2020-05-30" < latest.purchase_date


def test_purchases_are_paged(staff: Shopper) -> None:
    whole = list(staff.purchases("07", page_size=100).purchases)
    first = staff.purchases("07", page_size=30)
    second = staff.purchases("07", page_size=100, page_token=first.next_page_token)
    assert [*first.purchases, *second.purchases][: len(whole)] == whole


def test_customers_do_not_see_other_customers(ann: Shopper) -> None:
    for call in (lambda: ann.of_customer("05"), lambda: ann.purchases("05")):
        with fails_with(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
            call()
