"""Pages are arranged by rules, caps and exploration, whose propensities are true."""

import math
from collections import Counter
from collections.abc import Sequence
from random import Random

from services.recommender.arrangement import Arrangement, Move, Pin, Placement, arrange, pins_of_page

TEAS, MUGS = [f"tea{number}" for number in range(8)], [f"mug{number}" for number in range(4)]
PRODUCTS = [*TEAS, *MUGS]
LISTS = 100_000


def category(id: str) -> str:
    return id.rstrip("0123456789")


def page(arrangement: Arrangement, size: int = 4, candidates: Sequence[str] = PRODUCTS, pinned: Sequence[Pin] = ()) -> list[Placement]:
    random = Random(1)  # noqa: S311 a test
    return arrange([id for id in candidates if id not in {pin.product_id for pin in pinned}], category, pinned, arrangement, size, random)


def ids(placements: Sequence[Placement]) -> list[str]:
    return [placement.product_id for placement in placements]


def test_without_rules_the_order_stays() -> None:
    assert page(Arrangement()) == [Placement(id) for id in TEAS[:4]]


def test_a_boost_divides_ranks_and_a_bury_multiplies_them() -> None:
    """mug0 has the rank 9, and then 9 / 4; tea0 the rank 1, and then 3; so the teas of rank 2 and 3 are before and behind."""
    arrangement = Arrangement(product_moves={"mug0": Move(4, "b"), "tea0": Move(1 / 3, "a")})
    placements = page(arrangement)
    assert ids(placements) == ["tea1", "mug0", "tea0", "tea2"]
    assert [placement.rule_id for placement in placements] == ["", "b", "a", ""]


def test_of_several_rules_the_strongest_is_named() -> None:
    arrangement = Arrangement(product_moves={"mug0": Move(8, "product")}, category_moves={"mug": Move(2, "category")})
    named = {placement.product_id: placement.rule_id for placement in page(arrangement, 12)}
    assert (named["mug0"], named["mug1"], named["tea0"]) == ("product", "category", "")


def test_a_category_is_capped_pins_included() -> None:
    pinned = [Pin(1, "mug3", "pin")]
    assert ids(page(Arrangement(max_per_category=2), 4, pinned=pinned)) == ["mug3", "tea0", "tea1", "mug0"]
    assert ids(page(Arrangement(max_per_category=1), 4, pinned=pinned)) == ["mug3", "tea0"]


def test_pins_have_their_positions_and_the_second_of_two_the_next() -> None:
    pins = [Pin(2, "mug0", "a"), Pin(2, "mug1", "b"), Pin(6, "mug2", "c"), Pin(3, "gone", "d")]
    first = pins_of_page(pins, lambda id: id != "gone", 1, 4)
    assert ids(page(Arrangement(), 4, pinned=first)) == ["tea0", "mug0", "mug1", "tea1"]
    assert pins_of_page(pins, lambda id: id == "mug2", 5, 4) == [Pin(2, "mug2", "c")]


def test_exploration_never_moves_a_pin_nor_exceeds_a_cap() -> None:
    arrangement, random, pinned = Arrangement(max_per_category=3, exploration_share=0.5), Random(2), [Pin(2, "mug3", "pin")]  # noqa: S311
    candidates = [id for id in PRODUCTS if id != "mug3"]
    for _ in range(1000):
        placements = arrange(candidates, category, pinned, arrangement, 4, random)
        assert placements[1] == Placement("mug3", 1.0, "pin")
        assert max(Counter(category(id) for id in ids(placements)).values()) <= 3
        assert len(set(ids(placements))) == len(placements)


def frequencies_are_the_propensities(arrangement: Arrangement, candidates: Sequence[str], pinned: Sequence[Pin], size: int) -> None:
    """Over all products and positions, no frequency is further from its propensity than five standard errors."""
    random, seen, propensities = Random(3), Counter[tuple[int, str]](), dict[tuple[int, str], float]()  # noqa: S311
    for _ in range(LISTS):
        for position, placement in enumerate(arrange(candidates, category, pinned, arrangement, size, random)):
            seen[position, placement.product_id] += 1
            assert propensities.setdefault((position, placement.product_id), placement.propensity) == placement.propensity
    for position in range(size):
        assert math.isclose(sum(propensity for (at, _), propensity in propensities.items() if at == position), 1)
    for place, propensity in propensities.items():
        error = math.sqrt(propensity * (1 - propensity) / LISTS)
        assert abs(seen[place] / LISTS - propensity) <= 5 * error, place


def test_propensities_are_true() -> None:
    pinned = [Pin(2, "mug3", "pin")]
    frequencies_are_the_propensities(Arrangement(exploration_share=0.2), [id for id in PRODUCTS if id != "mug3"], pinned, 5)


def test_propensities_are_true_if_few_products_follow() -> None:
    frequencies_are_the_propensities(Arrangement(exploration_share=0.4), TEAS[:6], [], 4)
