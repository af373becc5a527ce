"""What is recommended: from the ladder's best step, of what the catalogue has."""

from collections.abc import Callable

import grpc
import pytest

from hashiramart.recommender.v1 import recommender_pb2
from tests.services.catalog.shop import Shop
from tests.services.errors import fails_with
from tests.services.recommender.conftest import Caller
from tests.services.recommender.shopper import Shopper, event, ids, kinds, step
from tests.services.recommender.world import COFFEES, TEAS
from tests.services.waiting import eventually


def test_a_customer_is_served_by_the_ranker(ann: Shopper, keeper: Shop) -> None:
    answer = ann.recommendations()
    assert (step(answer), answer.model_version, answer.data_through_date) == ("RANKER", "1", "2020-05-29")
    assert [one.rank for one in answer.recommendations] == list(range(1, 11))
    scores = [one.score for one in answer.recommendations]
    assert scores == sorted(scores, reverse=True)
    first = answer.recommendations[0].product
    assert first == keeper.get(first.id)
    assert set(ids(answer)) <= {*TEAS, "new"}


def test_reasons_call_products_by_their_names(ann: Shopper, keeper: Shop) -> None:
    answer = ann.recommendations(page_size=100, include_purchased=False)
    because = [one.reason for one in answer.recommendations if one.reason.kind == recommender_pb2.REASON_KIND_BECAUSE_YOU_BOUGHT]
    assert because
    for reason in because:
        names = [keeper.get(id).name for id in reason.product_ids]
        assert reason.text == f"Because you bought {' and '.join(names)}."


def test_of_a_stranger_the_basket_tells_most(stranger: Shopper) -> None:
    assert step(stranger.recommendations()) == "POPULARITY"
    answer = stranger.recommendations(basket_ids=["coffee03"])
    assert step(answer) == "BASKET"
    assert set(ids(answer)) <= {*COFFEES, "new"} - {"coffee03"}
    assert "BECAUSE_OF_BASKET" in kinds(answer)


def test_what_is_looked_at_acts_on_the_next_answer(stranger: Shopper) -> None:
    stranger.views("coffee03")
    answer = stranger.recommendations()
    assert step(answer) == "BASKET"
    assert answer.recommendations[0].product.id in COFFEES


def test_what_is_bought_acts_on_the_next_answer(stranger: Shopper) -> None:
    stranger.buys("coffee03", "coffee04")
    answer = stranger.recommendations(page_size=100)
    assert step(answer) == "RANKER"
    assert {"coffee03", "coffee04"} <= set(ids(answer))
    assert not {"coffee03", "coffee04"} & set(ids(stranger.recommendations(page_size=100, include_purchased=False)))


def test_what_was_merely_shown_tells_nothing(stranger: Shopper) -> None:
    stranger.record(event(recommender_pb2.EVENT_KIND_IMPRESSION, "coffee03"))
    assert step(stranger.recommendations()) == "POPULARITY"


def test_purchases_can_be_left_out(ann: Shopper, staff: Shopper) -> None:
    bought = {purchase.product_id for purchase in staff.purchases("04", page_size=100).purchases}
    assert bought & set(ids(ann.recommendations()))
    assert not bought & set(ids(ann.recommendations(page_size=100, include_purchased=False)))


def test_filters_act_before_the_list_is_cut(ann: Shopper) -> None:
    assert set(ids(ann.recommendations(category="Coffee"))) < set(COFFEES)
    assert len(ids(ann.recommendations(category="Coffee"))) == 10
    assert ids(ann.recommendations(category="Mugs")) == ["new"]
    assert set(ids(ann.recommendations(min_price_cents=103, max_price_cents=105))) == {"tea03", "tea04", "tea05"}
    assert ids(ann.recommendations(category="nothing")) == []


def test_what_is_excluded_or_in_the_basket_does_not_show(ann: Shopper) -> None:
    assert not {"tea03", "coffee04"} & set(ids(ann.recommendations(page_size=100, exclude_ids=["tea03"], basket_ids=["coffee04"])))


@pytest.mark.parametrize(
    "change", [lambda keeper, id: keeper.update(id, ["stock"], stock=0), lambda keeper, id: keeper.delete(id)], ids=["sold out", "deleted"]
)
def test_what_is_gone_does_not_show(ann: Shopper, keeper: Shop, change: Callable[[Shop, str], object]) -> None:
    first = ids(ann.recommendations())[0]
    change(keeper, first)
    eventually(lambda: first not in ids(ann.recommendations(page_size=100)))
    assert len(ids(ann.recommendations())) == 10
    keeper.undelete(first) if not keeper.batch(first).products else keeper.update(first, ["stock"], stock=5)
    eventually(lambda: first in ids(ann.recommendations()))


def test_what_is_sold_out_shows_if_asked_for(ann: Shopper, keeper: Shop) -> None:
    keeper.update("tea07", ["stock"], stock=0)
    eventually(lambda: "tea07" not in ids(ann.recommendations(page_size=100)))
    assert "tea07" in ids(ann.recommendations(page_size=100, in_stock=False))
    keeper.update("tea07", ["stock"], stock=5)
    eventually(lambda: "tea07" in ids(ann.recommendations(page_size=100)))


def test_what_the_model_does_not_know_comes_last(ann: Shopper, product: str) -> None:
    answer = ann.recommendations(page_size=100)
    last = answer.recommendations[-1]
    assert (last.product.id, last.source, kinds(answer)[-1]) == (product, recommender_pb2.SOURCE_CATALOG, "IN_CATALOG")
    assert last.score <= answer.recommendations[-2].score
    assert ids(ann.recommendations(category="Tea", min_price_cents=150)) == [product]


def test_pages_go_on_to_the_last_product_without_showing_one_twice(ann: Shopper, product: str) -> None:
    pages = list(ann.pages(page_size=7))
    shown = [id for page in pages for id in ids(page)]
    assert shown == ids(ann.recommendations(page_size=100))
    assert sorted(shown) == sorted([*TEAS, *COFFEES, "new", product])
    assert [one.rank for page in pages for one in page.recommendations] == list(range(1, len(shown) + 1))


def test_no_product_shows_twice_though_the_order_changes_between_pages(stranger: Shopper) -> None:
    first = stranger.recommendations(page_size=12)
    stranger.views("coffee03", "coffee04")
    rest = stranger.recommendations(page_size=100, page_token=first.next_page_token)
    assert sorted([*ids(first), *ids(rest)]) == sorted([*TEAS, *COFFEES, "new"])


def test_a_page_of_other_arguments_is_refused(ann: Shopper) -> None:
    token = ann.recommendations().next_page_token
    with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN"):
        ann.recommendations(page_token=token, category="Tea")


def test_a_thousand_products_are_answered_as_a_hundred(ann: Shopper) -> None:
    assert len(ids(ann.recommendations(page_size=1000))) == len([*TEAS, *COFFEES, "new"])


def test_similar_products_are_bought_by_the_same_customers(stranger: Shopper) -> None:
    answer = stranger.similar("tea03")
    assert set(ids(answer)) <= {*TEAS, "new"} - {"tea03"}
    assert kinds(answer)[0] == "BOUGHT_TOGETHER"
    assert answer.recommendations[0].reason.product_ids == ["tea03"]


def test_what_only_the_catalogue_knows_is_like_its_category(stranger: Shopper, product: str) -> None:
    answer = stranger.similar(product, page_size=100)
    assert set(ids(answer)[: len(TEAS)]) == set(TEAS)
    assert (kinds(answer)[0], kinds(answer)[-1], step(answer), answer.model_version) == ("SIMILAR", "IN_CATALOG", "CATALOG", "")


def test_what_nobody_knows_has_no_similar_products(stranger: Shopper) -> None:
    with fails_with(grpc.StatusCode.NOT_FOUND, "PRODUCT_NOT_FOUND"):
        stranger.similar("nothing")


def test_what_is_popular_may_be_so_in_a_country(stranger: Shopper) -> None:
    assert step(stranger.popular()) == "POPULARITY"
    assert "POPULAR" in kinds(stranger.popular())
    in_france = stranger.popular(country="France")
    assert (step(in_france), kinds(in_france)[0]) == ("COUNTRY_POPULARITY", "POPULAR_IN_COUNTRY")
    assert ids(stranger.popular(category="Mugs")) == ["new"]


def test_staff_see_what_a_customer_sees(ann: Shopper, staff: Shopper) -> None:
    assert staff.of_customer("04").recommendations == ann.recommendations().recommendations


def test_staff_see_what_a_customer_has_done_since(caller: Caller, staff: Shopper) -> None:
    caller("98").views("coffee03")
    assert step(staff.of_customer("98")) == "BASKET"


def test_an_unknown_customer_is_named(staff: Shopper) -> None:
    for call in (lambda: staff.of_customer("99"), lambda: staff.purchases("99")):
        with fails_with(grpc.StatusCode.NOT_FOUND, "CUSTOMER_NOT_FOUND"):
            call()


def test_purchases_are_listed_the_latest_first(caller: Caller, staff: Shopper) -> None:
    caller("05").buys("tea03")
    latest, *before = staff.purchases("05", page_size=100).purchases
    assert (latest.product_id, latest.product.name, latest.quantity) == ("tea03", "white tea", 1)
    days = [purchase.purchase_date for purchase in before]
    assert days == sorted(days, reverse=True)
    assert days[0] < "2020-05-30" < latest.purchase_date


def test_purchases_come_page_by_page(staff: Shopper) -> None:
    whole = list(staff.purchases("07", page_size=100).purchases)
    first = staff.purchases("07", page_size=30)
    second = staff.purchases("07", page_size=100, page_token=first.next_page_token)
    assert [*first.purchases, *second.purchases][: len(whole)] == whole


def test_customers_see_nobody_but_themselves(ann: Shopper) -> None:
    for call in (lambda: ann.of_customer("05"), lambda: ann.purchases("05")):
        with fails_with(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
            call()
