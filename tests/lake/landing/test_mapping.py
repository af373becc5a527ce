"""Mapping files, and the reasons for which one is refused."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.landing.mapping import InvalidMapping, parse_mapping, read_mapping
from lake.line_rules import ONLINE_RETAIL
from lake.schemas import RAW_COLUMNS

ROOT = Path(__file__).resolve().parents[3]
COLUMNS = "{invoice: a, product: b, description: null, quantity: c, time: [d, e], price: f, customer: null, country: null}"


def test_the_demos_mapping_is_what_its_files_have_without_one() -> None:
    mapping = read_mapping(ROOT / "datasets" / "online_retail_ii.yaml")
    assert mapping.rules == ONLINE_RETAIL
    assert mapping.columns is not None
    assert set(mapping.columns.model_dump().values()) == set(RAW_COLUMNS)


def test_every_part_has_a_default(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(f"columns: {COLUMNS}\n")
    mapping = read_mapping(tmp_path / "shop.yaml")
    assert mapping.columns is not None
    assert (mapping.columns.time, mapping.columns.customer) == (("d", "e"), None)
    assert mapping.rules.sale_invoice == r"\S.*"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("columns: {invoice: a", "shop.yaml, line 1 is not YAML."),
        ("- a", "shop.yaml is no mapping: the file: "),
        ("columns: {invoice: a}", "shop.yaml is no mapping: columns.product: Field required"),
        ("colums: {}", "shop.yaml is no mapping: colums: Extra inputs are not permitted"),
        ("rules: {product: '['}", "shop.yaml is no mapping: rules.product: "),
        ("rules: {product: '(?P<a>b)'}", "shop.yaml is no mapping: rules.product: Value error, named and conditional groups"),
        ("format: {encoding: klingon}", "shop.yaml is no mapping: format.encoding: Value error, unknown encoding"),
        ("format: {time_zone: Mars}", "shop.yaml is no mapping: format.time_zone: Value error, unknown time zone"),
        ("format: {dates: backwards}", "shop.yaml is no mapping: format.dates: "),
        ("format: {delimiter: ', '}", "shop.yaml is no mapping: format.delimiter: "),
        ("0" * 16_384, "shop.yaml has a value that cannot be read: "),
        ("rules: !!int ''", "shop.yaml has a value that cannot be read: "),
        ("rules: 2011-11-45", "shop.yaml has a value that cannot be read: "),
        ("[" * 10_000, "shop.yaml"),
    ],
)
def test_what_is_no_mapping_is_refused_by_its_place(tmp_path: Path, content: str, fault: str) -> None:
    (tmp_path / "shop.yaml").write_text(content)
    with pytest.raises(InvalidMapping) as raised:
        read_mapping(tmp_path / "shop.yaml")
    assert str(raised.value).startswith(fault)


def test_a_missing_mapping_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidMapping, match=r"no\.yaml cannot be read: No such file"):
        read_mapping(tmp_path / "no.yaml")


@given(
    st.lists(
        st.sampled_from([*"[]{}:,-?&*!|>%@`'\"#0_ \n\t~", "<<", "&a", "*a", "!!int ", "!!binary ", "!!set ", "2011-11-45", "rules", "1:61"])
    )
)
def test_any_other_text_is_refused_too(parts: list[str]) -> None:
    with suppress(InvalidMapping):
        parse_mapping("".join(parts), "shop.yaml")
