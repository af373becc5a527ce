"""What a manifest says of its data, and when two describe the same."""

from datetime import UTC, date, datetime

import pytest

from lake.manifest import Content, Counts, DataFile, Events, Manifest, Month


def content(rows: int, sha256: str = "aa", key: str = "clean/sales/run=1/part-0.parquet") -> Content:
    return Content(row_count=rows, sha256=sha256, files=(DataFile(key=key, byte_count=1),))


def month(**tables: Content) -> Month:
    counts = Counts(lines_in=4, sale_lines=2, duplicates=1, refused={"price": 1})
    return Month(month="2011-01", counts=counts, days=(date(2011, 1, 3), date(2011, 1, 4)), tables=tables)


def manifest(january: Month, run_id: str = "1", products: str = "pp") -> Manifest:
    return Manifest(
        schema_version=1,
        run_id=run_id,
        job_id=f"job-{run_id}",
        code_commit="",
        create_time=datetime(2026, 11, 23, tzinfo=UTC),
        raw_files=(),
        events=Events(),
        counts=january.counts,
        first_date=date(2011, 1, 3),
        through_date=date(2011, 1, 4),
        months=(january,),
        products=content(3, products, "clean/products/run=1/part-0.parquet"),
    )


def test_counts_add_up_reason_by_reason() -> None:
    counts = [Counts(lines_in=2, refused={"price": 1, "date": 1}), Counts(lines_in=3, sale_lines=1, duplicates=1, refused={"date": 1})]
    assert Counts.total(counts) == Counts(lines_in=5, sale_lines=1, duplicates=1, refused={"date": 2, "price": 1})


def test_a_month_holds_every_line_that_was_read() -> None:
    month(sales=content(2), rejects=content(1)).check()


@pytest.mark.parametrize("tables", [{"sales": content(2)}, {"sales": content(1), "rejects": content(1)}, {}])
def test_a_lost_row_is_an_error(tables: dict[str, Content]) -> None:
    with pytest.raises(AssertionError, match="2011-01"):
        month(**tables).check()


def test_equal_rows_of_another_run_in_other_files_are_the_same_data_set() -> None:
    first, second = manifest(month(sales=content(2))), manifest(month(sales=content(2, key="clean/sales/run=2/part-0.parquet")), "2")
    assert first.dataset() == second.dataset()
    assert not first.has_same_data(second)


def test_a_manifest_from_before_there_were_exposures_is_the_data_set_that_it_was() -> None:
    now = manifest(month(sales=content(2)))
    before = Manifest.model_validate(now.model_dump(exclude={"exposures", "exposure_files"}))
    assert before == now
    shown = now.model_copy(update={"exposures": content(1, "ee", "clean/exposures/run=1/part-0.parquet")})
    assert shown.keys() == now.keys() | {"clean/exposures/run=1/part-0.parquet"}
    assert shown.dataset().sha256 != now.dataset().sha256


def test_other_rows_are_another_data_set() -> None:
    hashes = {
        manifest(month(sales=content(2, sales)), products=products).dataset().sha256
        for sales, products in (("aa", "pp"), ("bb", "pp"), ("aa", "qq"))
    }
    assert len(hashes) == 3


def test_rejects_are_no_part_of_the_data_set() -> None:
    assert manifest(month(rejects=content(1, "aa"))).dataset() == manifest(month(rejects=content(1, "bb"))).dataset()


def test_the_data_hash_of_the_same_data_never_changes() -> None:
    """`params.yaml` names data by it, and every champion's lineage does."""
    assert manifest(month(sales=content(2))).dataset().sha256 == "377ba78799562421cc71608b16e30fc86af3f72bb82ddeb1eda9212c1aa785db"


def test_a_manifest_survives_writing_and_reading() -> None:
    written = manifest(month(sales=content(2), rejects=content(1)))
    assert Manifest.model_validate_json(written.model_dump_json()) == written
