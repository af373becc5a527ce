"""Search for products."""

import time
from typing import Any

import grpc
import pytest

from hashiramart.catalog.v1 import catalog_pb2
from tests.services.catalog.shop import Shop, row
from tests.services.errors import fails_with

CODE = grpc.StatusCode

PRODUCTS = [
    ("85123A", "WHITE HANGING HEART T-LIGHT HOLDER", "", "Candles"),
    ("L1", "LANTERN", "", "Lamps"),
    ("L2", "RED LANTERNS, SET OF 3", "", "Lamps"),
    ("L3", "CREAM SILVER LANTERN WITH A HANDLE", "", "Lamps"),
    ("B1", "BUTTERFLY", "Sits on a lantern", ""),
    ("C1", "CAFÉ MUG", "From the crème of potters", "Mugs"),
    ("C2", "RED/WHITE MUG", "", "Mugs"),
    ("DOT.COM-1", "POSTAGE", "", ""),
]


@pytest.fixture(scope="module", autouse=True)
def _products(staff: Shop) -> None:
    staff.import_products(row(id, name, description=description, category=category) for id, name, description, category in PRODUCTS)


def found(shop: Shop, search: str, **arguments: Any) -> list[str]:
    return shop.ids(search=search, **arguments)


def test_matches_in_names_come_first_and_short_names_before_long_ones(stranger: Shop) -> None:
    assert found(stranger, "lantern") == ["L1", "L2", "L3", "B1"]
    assert found(stranger, "lantern", page_size=1) == ["L1", "L2", "L3", "B1"]
    assert [list(page) for page in stranger.pages(search="lantern", page_size=3)] == [["L1", "L2", "L3"], ["B1"]]


def test_all_words_must_match_in_any_inflection_case_and_field(stranger: Shop) -> None:
    assert found(stranger, "hearts HANGING") == ["85123A"]
    assert found(stranger, "lamp lanterns") == ["L1", "L2", "L3"]
    assert found(stranger, "butterflies lantern") == ["B1"]
    assert found(stranger, "lantern heart") == []


def test_accents_and_punctuation_do_not_matter(stranger: Shop) -> None:
    assert found(stranger, "cafe") == found(stranger, "Café") == found(stranger, "CAFE\u0301") == ["C1"]
    assert found(stranger, "creme") == ["C1"]
    assert found(stranger, "white mug") == ["C2"]
    assert found(stranger, "t light") == ["85123A"]


def test_stop_words_count_too(stranger: Shop) -> None:
    assert found(stranger, "of") == ["L2", "C1"]
    assert found(stranger, "with a") == ["L3"]


def test_a_product_is_found_by_its_id(stranger: Shop) -> None:
    assert found(stranger, "85123a") == ["85123A"]
    assert found(stranger, "dot.com-1") == found(stranger, "dot 1") == ["DOT.COM-1"]


@pytest.mark.parametrize(
    ("searched", "corrected", "ids"),
    [
        ("lantren", "lantern", ["L1", "L2", "L3", "B1"]),
        ("Red Lantrens", "red lanterns", ["L2"]),
        ("huart hanging", "heart hanging", ["85123A"]),
        ("buterfly", "butterfly", ["B1"]),
        ("poters mug", "potters mug", ["C1"]),
    ],
)
def test_a_word_that_no_product_has_is_corrected_to_the_closest(stranger: Shop, searched: str, corrected: str, ids: list[str]) -> None:
    page = eventually_corrected(stranger, searched)
    assert page.corrected_search == corrected
    assert [product.id for product in page.products] == ids
    assert found(stranger, searched, page_size=1) == ids


def test_the_next_pages_of_a_corrected_search_report_the_correction_too(stranger: Shop) -> None:
    first = eventually_corrected(stranger, "lantren", page_size=1)
    second = stranger.page(search="lantren", page_size=1, page_token=first.next_page_token)
    assert ([product.id for product in second.products], second.corrected_search) == (["L2"], "lantern")


def test_existing_words_are_not_corrected(stranger: Shop) -> None:
    assert stranger.page(search="Lantern").corrected_search == ""
    assert stranger.page(search="lantern heart").corrected_search == ""
    assert stranger.page(search="lantern", category="Mugs").corrected_search == ""


def test_a_word_close_to_no_other_finds_nothing(stranger: Shop) -> None:
    for search in ("xylophonist", "85124B", "qq"):
        page = stranger.page(search=search)
        assert (list(page.products), page.corrected_search) == ([], "")


def test_a_new_product_is_found_at_once_and_its_words_correct_others(staff: Shop, stranger: Shop) -> None:
    staff.create("Zanzibar chest", id="Z1")
    assert found(stranger, "zanzibar") == ["Z1"]
    assert eventually_corrected(stranger, "zanzibra").corrected_search == "zanzibar"
    staff.update("Z1", name="Mombasa chest")
    assert found(stranger, "zanzibar") == []
    assert found(stranger, "mombasa") == ["Z1"]
    page = stranger.page(search="zanzibra")
    assert (list(page.products), page.corrected_search) == ([], "")
    staff.delete("Z1")
    assert found(stranger, "mombasa") == []


def test_a_search_can_be_filtered_and_ordered(stranger: Shop) -> None:
    assert found(stranger, "lantern", category="Lamps", order_by="name desc", page_size=1) == ["L2", "L1", "L3"]
    assert found(stranger, "red", category="Mugs") == ["C2"]


@pytest.mark.parametrize(
    "search",
    [
        *("lantern & !x", "lantern:*", "(lantern", "lantern <-> red", "lantern | mug"),
        *("lantern' OR 1=1 --", "'; DROP TABLE catalog.products; --", "%", "\\"),
    ],
)
def test_operators_of_sql_and_of_text_search_are_taken_literally(stranger: Shop, search: str) -> None:
    alone = " ".join("".join(c if c.isalnum() else " " for c in search).split())
    assert found(stranger, search) == (found(stranger, alone) if alone else [])
    assert len(stranger.ids()) == len(PRODUCTS)


def test_a_search_without_a_letter_or_a_digit_finds_nothing(stranger: Shop) -> None:
    for search in ("?!", " ", "—", "_"):
        assert found(stranger, search) == []


def test_a_search_with_nul_or_too_long_is_rejected(stranger: Shop) -> None:
    for search in ("a\0b", "x" * 201):
        with fails_with(CODE.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
            stranger.page(search=search)
        assert list(violations) == ["search"]


def test_a_search_for_a_very_common_word_is_paged_without_a_gap(staff: Shop, stranger: Shop) -> None:
    # More products than a search scans.
    staff.import_products(
        row(f"w{number:04}", "Widget" if number % 3 else "Shiny little widget", category="Many") for number in range(2500)
    )
    expected = sorted((f"w{number:04}" for number in range(2500)), key=lambda id: (int(id[1:]) % 3 == 0, id))
    assert found(stranger, "widgets", page_size=100) == expected
    assert found(stranger, "shiny", page_size=100) == [id for id in expected if int(id[1:]) % 3 == 0]
    assert found(stranger, "many", page_size=100) == expected
    for id in expected[:3]:
        staff.delete(id)
    assert found(stranger, "widgets", page_size=100) == expected[3:]


def eventually_corrected(shop: Shop, search: str, **arguments: Any) -> catalog_pb2.ListProductsResponse:
    """The response once the vocabulary contains the products, which takes a moment."""
    for _ in range(100):
        page = shop.page(search=search, **arguments)
        if page.corrected_search:
            break
        time.sleep(0.05)
    return page
