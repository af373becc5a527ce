"""What a run publishes, what it leaves unchanged, and which files fail it."""

import gzip
from datetime import date

import pytest
from pyspark.sql import SparkSession

from lake.errors import PublishConflict, UnreadableFile
from lake.publishing import publish, read_publication
from spark.errors import NoRawData, TooManyRejects
from tests.spark.shop import HEADER, Shop, line, values

JANUARY, FEBRUARY, MARCH = "2011-01-03 10:00:00", "2011-02-03 10:00:00", "2011-03-03 10:00:00"
# Ten thousand lines: more than what is read of a file to find its header.
PACKED = gzip.compress("\n".join([HEADER, *(line(invoice=f"{number:06}") for number in range(9_999))]).encode(), mtime=0)


def test_every_line_is_a_sale_line_a_duplicate_or_a_reject(shop: Shop) -> None:
    shop.land(
        line(quantity=2),
        line(quantity=2),
        line(invoice="C500002"),
        line(product="POST", time=FEBRUARY),
        line(time=FEBRUARY, customer=""),
        line(quantity=2),
        line(invoice="500009", time="2011-02-04 12:00:00"),
    )
    manifest, published = shop.run()
    assert published
    # The sixth line comes after the clock has jumped back: it repeats the first.
    assert (manifest.counts.lines_in, manifest.counts.sale_lines, manifest.counts.duplicates) == (7, 4, 1)
    assert manifest.counts.refused == {"invoice": 1, "stock_code": 1}
    assert (manifest.first_date, manifest.through_date) == (date(2011, 1, 3), date(2011, 2, 4))
    assert [month.month for month in manifest.months] == ["2011-01", "2011-02"]
    assert len(shop.rows("sales")) == 4
    assert shop.stored() == manifest.keys()
    # A month of a table is one file, and nothing else is named.
    assert all(key.endswith(".parquet") for key in manifest.keys())  # noqa: SIM118
    assert all(len(content.files) == 1 for month in manifest.months for content in month.tables.values())


def test_a_reject_is_in_quarantine_unchanged_with_its_place_and_reason(shop: Shop) -> None:
    shop.land(line(), line(price=0, name="?"), line(), "not a line", line(quantity=-4, time=MARCH), name="export.csv")
    shop.run()
    assert values(shop.rows("rejects"), "file", "number", "reason", "line") == [
        ("export.csv", 3, "price", line(price=0, name="?")),
        ("export.csv", 5, "columns", "not a line"),
        ("export.csv", 6, "quantity", line(quantity=-4, time=MARCH)),
    ]


def test_lines_keep_their_numbers_however_the_file_is_divided(shop: Shop, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lake.landing.landing.PART_BYTES", 5_000)
    lines = [line(invoice=f"{500_000 + i}", quantity=-1 if i % 97 == 0 else 1) for i in range(400)]
    shop.land(*lines)
    spark.conf.set("spark.sql.files.maxPartitionBytes", "2000")
    try:
        manifest, _ = shop.run()
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
    assert manifest.counts.lines_in == 400
    assert sorted(values(shop.rows("rejects"), "number", "line")) == [(i + 2, lines[i]) for i in (0, 97, 194, 291, 388)]


def test_a_second_run_publishes_nothing(shop: Shop) -> None:
    shop.land(line(), line(time=FEBRUARY))
    first, _ = shop.run()
    assert shop.run() == (first, False)
    assert shop.run(full=True) == (first, False)
    assert shop.stored() == first.keys()


def test_a_new_file_rewrites_only_its_months(shop: Shop) -> None:
    shop.land(line(), line(time=FEBRUARY), line(time="2011-02-05 10:00:00"))
    first, _ = shop.run()
    shop.land(line(time="2011-02-04 09:00:00", product="20002"), name="more.csv")
    second, published = shop.run()
    assert published
    assert first.months[0] == second.months[0]
    assert first.months[1].tables["sales"].files != second.months[1].tables["sales"].files
    assert second.counts.sale_lines == 4
    assert [file.name for file in second.raw_files] == ["sales.csv", "more.csv"]


def test_the_data_does_not_depend_on_the_order_in_which_files_came(shop: Shop) -> None:
    one = [line(quantity=3), line(quantity=3), line(invoice="C1"), line(time=FEBRUARY)]
    two = [line(quantity=3), line(time=FEBRUARY), line(time=FEBRUARY), line(time=MARCH)]
    shop.land(*one, name="one.csv")
    shop.run()
    shop.land(*two, name="two.csv")
    step_by_step, _ = shop.run()
    other = Shop(shop.session, shop.store, shop.raw.parent / "other")
    other.land(*two, *one, name="both.csv")
    at_once, _ = other.run()
    # Each line counts as often as the sheet has it that has it most often.
    assert step_by_step.counts.sale_lines == at_once.counts.sale_lines == 5
    assert step_by_step.dataset() == at_once.dataset()


def test_the_lines_of_a_removed_file_are_gone(shop: Shop) -> None:
    shop.land(line(), name="kept.csv")
    first, _ = shop.run()
    shop.put("wrong.csv", f"{HEADER}\n{line(product='20002')}\n{line(time=MARCH)}\n".encode())
    assert shop.run()[0].counts.sale_lines == 3
    (shop.raw / "sales" / "ingest_date=2026-11-23" / "wrong.csv").unlink()
    manifest, published = shop.run()
    assert published
    assert manifest.dataset() == first.dataset()


def test_the_last_day_is_no_daily_sales_until_a_later_one_has_come(shop: Shop) -> None:
    shop.land(line(quantity=2, price=1.25), line(quantity=3, price=1.25), line(time="2011-01-31 10:00:00"))
    shop.run()
    assert values(shop.rows("daily_sales"), "date", "units", "revenue", "lines") == [(date(2011, 1, 3), 5, 6.25, 2)]
    shop.land(line(time=FEBRUARY), name="february.csv")
    shop.run()
    assert values(shop.rows("daily_sales"), "date") == [(date(2011, 1, 3),), (date(2011, 1, 31),)]


def test_a_file_with_too_many_rejects_fails_the_run_and_the_data_stays(shop: Shop) -> None:
    shop.land(line())
    first, _ = shop.run()
    shop.land(line(time=FEBRUARY), line(quantity=-1), name="broken.csv")
    with pytest.raises(TooManyRejects, match=r"50\.0% of the lines of broken\.csv were refused, and 10\.0% is allowed"):
        shop.run(reject_share=0.1)
    assert shop.published() == first
    assert shop.stored() == first.keys()


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("short.csv", b"Invoice,StockCode,Quantity,InvoiceDate,Price,Customer ID\n1,2,3,4,5,6\n", "lacks the columns Description, Country"),
        ("latin.csv", f"{HEADER}\n{line(name='CAFÉ')}\n".encode("latin-1"), "is not in UTF-8"),
        ("cut.csv.gz", PACKED[:-3_000], "is cut off or damaged"),
        ("stub.csv.gz", PACKED[:12], "is cut off or damaged"),
        ("nothing.csv", b"", "is empty"),
        ("header.csv", f"{HEADER}\n".encode(), "is empty below its header"),
        ("picture.png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "is no CSV file"),
        ("page.html", b"<html>\n<p>Hello, you</p>\n", "is no CSV file of sales"),
        ("endless.csv", b"ZX+zrZv/" * 200_000, "is no CSV file of sales: its first line is longer than"),
        ("mac.csv", f"{HEADER}\r{line()}\r".encode(), "has lines that end in CR alone"),
        ("ragged.csv", f"{HEADER}\n{line()},\n{line()},\n".encode(), "has no line with as many fields as its header"),
        ("Alice's cut.csv.gz", PACKED[:-3_000], "is cut off or damaged"),
    ],
)
def test_an_unreadable_file_is_named_and_the_data_stays(shop: Shop, name: str, content: bytes, fault: str) -> None:
    shop.put(name, content)
    with pytest.raises(UnreadableFile) as raised:
        shop.run()
    assert raised.value.message.startswith(name)
    assert fault in raised.value.message
    assert shop.published() is None


def test_a_packed_file_that_was_not_landed_is_read_too(shop: Shop) -> None:
    shop.put("odd name [1].csv.gz", gzip.compress(f"\ufeff{HEADER},Till\r\n{line()},7\r\n{line(price=0)},7\r\n".encode()))
    manifest, _ = shop.run()
    assert (manifest.counts.sale_lines, manifest.counts.refused) == (1, {"price": 1})
    [file] = manifest.raw_files
    assert (file.name, file.extra_columns) == ("odd name [1].csv.gz", ("Till",))
    assert values(shop.rows("rejects"), "number") == [(3,)]


# As data frames, spreadsheets and databases export them, after public bug reports.
YEARS = ("20111-01-03", "40546", "0000-02-05", "0001-01-01", "0211-01-03", "-2011-01-03", "294248-01-01", "2026-11-25")
UNPRINTABLE = (
    "GLASS\x00JAR",
    "GLASS\x07 BELL",
    "GLASS JAR\x1a",
    "GLASS\x7fJAR",
    "GLASS\tJAR",
    "GLASS\x85JAR",
    "GLASS\u2028JAR",
    "\x01\x02\x03",
)
NAMES = ("Alice's & Bob; $HOME `ls` 100%20 [1]{2}*?^.csv", 'quo"te #1+2,3.csv', "äöü 売上.csv")


def test_no_line_ends_the_job_and_the_manifest_adds_up(shop: Shop) -> None:
    dated = [line(time=f"{year} 10:00:00") for year in YEARS]
    named = [line(product=f"3000{number}", name=name) for number, name in enumerate(UNPRINTABLE)]
    numbers = [line(price="5012345678900"), line(price="50123457"), line(quantity="1e9"), line(quantity=2**31)]
    shop.land(
        line(), *dated, *named, *numbers, "," * 30_000, f"\ufeff{HEADER}", f"\ufeff{line()}", line(customer="12345.0", quantity="1.0")
    )
    manifest, _ = shop.run()
    assert manifest.counts.refused == {"columns": 1, "date": len(YEARS), "header": 1, "price": 2, "quantity": 2}
    assert manifest.counts.sale_lines == len(UNPRINTABLE) + 3
    assert manifest.counts.lines_in == len(UNPRINTABLE) + len(YEARS) + 9
    assert values(shop.rows("interactions"), "customer_number", "product_id", "quantity")[0] == ("12345", "10001", 1)
    assert not any(ord(letter) < 32 or ord(letter) == 127 for row in shop.rows("products") for letter in row["name"])


def test_files_of_any_name_that_were_not_landed_are_read(shop: Shop) -> None:
    for number, name in enumerate(NAMES):
        content = f"{HEADER},,\r\r\n{line(product=f'2000{number}')},,\r\r\n{line(price=0)},,\r\r\n"
        shop.put(name, content.replace("Customer ID", "Customer\u00a0ID").replace("Invoice,", "\u00a0Invoice\u00a0,", 1).encode())
    manifest, _ = shop.run()
    assert {file.name for file in manifest.raw_files} == set(NAMES)
    assert (manifest.counts.lines_in, manifest.counts.sale_lines) == (6, 3)
    assert all(file.extra_columns == () for file in manifest.raw_files)


def test_a_future_date_stays_a_reject_when_its_day_has_come(shop: Shop) -> None:
    shop.land(line(), line(time="2011-01-09 10:00:00"), today=date(2011, 1, 4))
    first, _ = shop.run()
    assert (first.counts.sale_lines, first.counts.refused) == (1, {"date": 1})
    shop.land(line(time="2011-01-09 10:00:00"), name="later.csv", today=date(2011, 1, 10))
    second, _ = shop.run()
    assert (second.counts.lines_in, second.counts.sale_lines, second.counts.refused) == (3, 2, {"date": 1})


def test_without_raw_files_there_is_nothing_to_do(shop: Shop) -> None:
    with pytest.raises(NoRawData):
        shop.run()


def test_of_two_runs_at_once_only_one_publishes(shop: Shop) -> None:
    shop.land(line())
    shop.run()
    shop.land(line(time=FEBRUARY), name="february.csv")
    slow = shop.begin()
    winner, _ = shop.run()
    with pytest.raises(PublishConflict):
        slow.publish()
    assert shop.published() == winner
    assert len(shop.rows("sales")) == 2


def test_files_of_a_killed_run_are_never_read_and_removed_by_the_next(shop: Shop) -> None:
    shop.land(line())
    manifest, _ = shop.run()
    [key] = [file.key for file in manifest.months[0].tables["sales"].files]
    left = key.replace("run=", "run=0000")
    written = shop.bucket.read(key)
    assert written is not None
    shop.bucket.write(left, written.content)
    assert len(shop.rows("sales")) == 1
    shop.land(line(time=FEBRUARY), name="february.csv")
    shop.run()
    assert left not in shop.stored()


def test_a_data_set_object_that_a_killed_run_did_not_write_is_written_by_the_next(shop: Shop) -> None:
    shop.land(line())
    shop.run()
    shop.bucket.remove(["clean/_DATASET.json"])
    shop.run()
    assert shop.bucket.read("clean/_DATASET.json")


def test_purchases_recorded_live_are_interactions_up_to_a_day(shop: Shop) -> None:
    shop.land(line(), line(time=FEBRUARY))
    bought = {"kind": "EVENT_KIND_PURCHASE", "product_id": "20002", "user_id": "u-1", "customer_number": ""}
    shop.record(
        {**bought, "id": "a", "event_time": "2011-02-01T10:00:00Z", "customer_number": "12345", "quantity": 2},
        {**bought, "id": "a", "event_time": "2011-02-01T10:00:00Z", "customer_number": "12345", "quantity": 2},
        {**bought, "id": "b", "event_time": "2011-02-02T10:00:00Z"},
        {**bought, "id": "c", "event_time": "2011-02-02T10:00:00Z", "kind": "EVENT_KIND_VIEW"},
        {**bought, "id": "d", "event_time": "2011-03-02T10:00:00Z"},
    )
    columns = ("customer_number", "product_id", "date", "quantity")
    from_sales = [("12345", "10001", date(2011, 1, 3), 1), ("12345", "10001", date(2011, 2, 3), 1)]
    live = [("12345", "20002", date(2011, 2, 1), 2), ("u-1", "20002", date(2011, 2, 2), 1)]
    shop.run()
    assert sorted(values(shop.rows("interactions"), *columns), key=str) == sorted([*from_sales, *live], key=str)
    assert shop.run()[1] is False
    shop.run(through=date(2011, 3, 31))
    later = ("u-1", "20002", date(2011, 3, 2), 1)
    assert sorted(values(shop.rows("interactions"), *columns), key=str) == sorted([*from_sales, *live, later], key=str)


def test_a_purchase_of_an_order_counts_once_whether_the_files_have_it_or_not(shop: Shop) -> None:
    shop.land(line(), line(product="20002"), line(time="2011-02-05 10:00:00"))
    bought = {
        "kind": "EVENT_KIND_PURCHASE",
        "product_id": "10001",
        "user_id": "u-1",
        "event_time": "2011-01-31T23:59:00Z",
        "order_id": "500900",
    }
    shop.record(
        # The shopper's own word, and what the order system says.
        {**bought, "id": "a", "quantity": 1},
        {**bought, "id": "b", "quantity": 2, "unit_price_cents": 300},
        {**bought, "id": "c", "quantity": 4, "unit_price_cents": 250, "product_id": "20002"},
        # Neither without an order, a price or a line of the product in the files.
        {**bought, "id": "d", "order_id": "", "unit_price_cents": 250},
        {**bought, "id": "e", "order_id": "500901"},
        {**bought, "id": "f", "order_id": "500902", "unit_price_cents": 250, "product_id": "30003"},
        {**bought, "id": "g", "order_id": "500903", "unit_price_cents": 250, "kind": "EVENT_KIND_RETURN"},
    )
    shop.run()
    columns = ("product_id", "date", "units", "revenue", "lines")
    filed = [("10001", date(2011, 1, 3), 1, 2.5, 1), ("20002", date(2011, 1, 3), 1, 2.5, 1)]
    live = [("10001", date(2011, 1, 31), 2, 6.0, 1), ("20002", date(2011, 1, 31), 4, 10.0, 1)]
    assert sorted(values(shop.rows("daily_sales"), *columns)) == sorted([*filed, *live])
    bought_live = ("product_id", "date", "quantity")
    assert ("20002", date(2011, 1, 31), 4) in values(shop.rows("interactions"), *bought_live)
    # The till's file has it with its own time, in another month.
    shop.land(line(invoice="500900", product="20002", quantity=4, time="2011-02-01 00:01:00"), name="february.csv")
    shop.run()
    february = ("20002", date(2011, 2, 1), 4, 10.0, 1)
    assert sorted(values(shop.rows("daily_sales"), *columns)) == sorted([*filed, live[0], february])
    assert ("20002", date(2011, 1, 31), 4) not in values(shop.rows("interactions"), *bought_live)


def test_a_recorded_purchase_has_its_day_in_the_shops_time_zone(shop: Shop) -> None:
    shop.land(line(), line(time=FEBRUARY))
    event = {"id": "a", "kind": "EVENT_KIND_PURCHASE", "product_id": "20002", "user_id": "u-1", "customer_number": "12345"}
    shop.record({**event, "event_time": "2011-02-02T02:00:00Z"})
    for zone, day in (("America/New_York", date(2011, 2, 1)), ("Europe/London", date(2011, 2, 2))):
        shop.run(time_zone=zone)
        assert ("20002", day) in values(shop.rows("interactions"), "product_id", "date")


def test_events_that_were_removed_leave_the_interactions(shop: Shop) -> None:
    shop.land(line())
    bought = {"kind": "EVENT_KIND_PURCHASE", "product_id": "20002", "customer_number": "12345", "event_time": "2011-01-02T10:00:00Z"}
    # The only purchases of their month are among them.
    alone = {**bought, "event_time": "2010-12-02T10:00:00Z"}
    shop.record({**bought, "id": "a", "user_id": "u-1"}, {**bought, "id": "b", "user_id": "u-2"}, {**alone, "id": "c", "user_id": "u-1"})
    shop.run()
    columns = ("product_id", "date", "quantity")
    sold = ("10001", date(2011, 1, 3), 1)
    before = [sold, ("20002", date(2010, 12, 2), 1), ("20002", date(2011, 1, 2), 2)]
    assert sorted(values(shop.rows("interactions"), *columns)) == sorted(before)
    [file] = (shop.raw / "events").iterdir()
    file.write_text(file.read_text().splitlines()[1])
    assert shop.run()[1] is True
    assert sorted(values(shop.rows("interactions"), *columns)) == sorted([sold, ("20002", date(2011, 1, 2), 1)])
    file.write_text("")
    shop.run()
    assert values(shop.rows("interactions"), *columns) == [sold]


def test_what_was_published_stays_readable_for_ten_manifests(shop: Shop) -> None:
    shop.land(line(), line(time=FEBRUARY))
    first, _ = shop.run()
    for number in range(10):
        assert first.keys() <= shop.stored()
        # From here on one month is all that there is.
        later = first.model_copy(update={"run_id": f"{first.run_id}{number}", "months": first.months[1:]})
        publish(shop.bucket, later, read_publication(shop.bucket))
    assert shop.stored() == first.model_copy(update={"months": first.months[1:]}).keys() < first.keys()
