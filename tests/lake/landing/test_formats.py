"""Files of every format become the same lines."""

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.errors import UnreadableFile
from lake.landing.canonical import CanonicalFile, examine
from lake.landing.mapping import Mapping
from lake.line_rules import ONLINE_RETAIL, LineRules
from tests.lake.landing.workbook import workbook

HEADER = ["Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID", "Country"]
ROWS = [
    ["500001", "10001", "GLASS JAR, LARGE", "6", "2011-01-14 10:00:00", "2.55", "12345", "France"],
    ["500002", "10002", "CAFÉ “NOIR” €", "1", "2011-02-03 09:05:00", "1234.5", "", "Österreich"],
]
LINES = [
    ",".join(HEADER),
    '500001,10001,"GLASS JAR, LARGE",6,2011-01-14 10:00:00,2.55,12345,France',
    "500002,10002,CAFÉ “NOIR” €,1,2011-02-03 09:05:00,1234.5,,Österreich",
]


def look(file: Path, mapping: Mapping | None = None) -> CanonicalFile:
    return examine(file, mapping, lambda *_: None)


def read(file: Path, mapping: Mapping | None = None) -> list[str]:
    return b"".join(look(file, mapping).lines()).decode().splitlines()


def text(delimiter: str, ends: str = "\n") -> str:
    return ends.join(delimiter.join(f'"{field}"' if delimiter in field else field for field in row) for row in [HEADER, *ROWS]) + ends


def put(folder: Path, content: str | bytes, name: str = "sales.csv") -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


@pytest.mark.parametrize(("delimiter", "name"), [(",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "pipe")])
@pytest.mark.parametrize(
    ("encoding", "label"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("cp1252", "Windows-1252"),
    ],
)
def test_delimiters_and_encodings_are_found(tmp_path: Path, delimiter: str, name: str, encoding: str, label: str) -> None:
    file = put(tmp_path, text(delimiter).encode(encoding))
    assert read(file) == LINES
    assert look(file).description == f"{name}, {label}, dates year first"


def pack_zip(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("exports/", b"")
        archive.writestr("exports/sales.csv", content)
        archive.writestr("__MACOSX/exports/._sales.csv", b"\x00\x05\x16\x07")
    return packed.getvalue()


def pack_zstd(content: bytes) -> bytes:
    frames: bytes = pa.compress(content, "zstd", asbytes=True)
    return frames


@pytest.mark.parametrize(("suffix", "pack"), [("gz", gzip.compress), ("zip", pack_zip), ("zst", pack_zstd)])
def test_packed_files_are_unpacked(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    content = text(";").encode("cp1252")
    assert read(put(tmp_path, pack(content), f"sales.csv.{suffix}")) == LINES
    with pytest.raises(UnreadableFile, match=r"is cut off or damaged: it cannot be unpacked\.$"):
        read(put(tmp_path, pack(content * 100)[:-40], f"cut.{suffix}"))


def test_an_archive_of_several_exports_is_one_file(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("2011-02.csv", "\n".join([LINES[0], LINES[2]]))
        archive.writestr("2011-01.csv", "\n".join([LINES[0], LINES[1]]).replace(",", ";").replace("R; L", "R, L"))
        archive.writestr("README.txt", "Exports of our till\n")
    file = put(tmp_path, packed.getvalue(), "till.zip")
    assert read(file) == LINES
    assert look(file).description == "semicolon, UTF-8, dates year first, 2 tables, left out: README.txt"


def test_the_sheets_of_a_workbook_are_one_file(tmp_path: Path) -> None:
    typed = [
        [500001, "10001", "GLASS JAR, LARGE", 6, datetime(2011, 1, 14, 10), 2.55, 12345, "France"],  # noqa: DTZ001
        [500002, "10002", "CAFÉ “NOIR” €", 1, datetime(2011, 2, 3, 9, 5), 1234.5, None, "Österreich"],  # noqa: DTZ001
    ]
    sheets: dict[str, list[list[object]]] = {
        "2010": [["Sales of the shop"], [], [*HEADER], typed[0]],
        "2011": [list(reversed(HEADER)), list(reversed(typed[1])), []],
        "Notes": [["call Ann"]],
    }
    file = put(tmp_path, workbook(sheets), "sales.xlsx")
    assert read(file) == LINES
    assert look(file).description == "Excel, dates year first, 2 tables, left out: Notes"


def test_parquet_keeps_what_its_types_say(tmp_path: Path) -> None:
    table = pa.table(
        {
            "Invoice": pa.array(["500001", "500002"]),
            "StockCode": pa.array([10001, 10002]),
            "Description": pa.array([ROWS[0][2], ROWS[1][2]]).dictionary_encode(),
            "Quantity": pa.array([6.0, 1.0]),
            "InvoiceDate": pa.array([datetime(2011, 1, 14, 10), datetime(2011, 2, 3, 9, 5)], pa.timestamp("ns")),  # noqa: DTZ001
            "Price": pa.array([Decimal("2.55"), Decimal("1234.5")], pa.decimal128(8, 2)),
            "Customer ID": pa.array([12345.0, None]),
            "Country": pa.array(["France", "Österreich"]),
        }
    )
    pq.write_table(table, tmp_path / "sales.parquet")
    assert [line.replace("1234.50", "1234.5") for line in read(tmp_path / "sales.parquet")] == LINES
    with pytest.raises(UnreadableFile, match="is cut off or damaged"):
        read(put(tmp_path, (tmp_path / "sales.parquet").read_bytes()[:-30], "cut.parquet"))


def test_ndjson_may_lack_keys_and_keeps_digits(tmp_path: Path) -> None:
    records = [dict(zip(HEADER, row, strict=True)) for row in ROWS]
    del records[1]["Customer ID"]
    lines = [json.dumps(records[0]).replace('"2.55"', "2.55"), "", json.dumps(records[1]), "not JSON", "[1]"]
    assert read(put(tmp_path, "\n".join(lines), "sales.ndjson")) == [*LINES, "not JSON", "[1]"]


@pytest.mark.parametrize(
    ("times", "expected", "found"),
    [
        (["14/01/2011 10:00", "03/02/2011 09:05"], ["2011-01-14 10:00:00", "2011-02-03 09:05:00"], "dates day first"),
        (["01/14/2011 10:00 AM", "2/3/2011 9:05 PM"], ["2011-01-14 10:00:00", "2011-02-03 21:05:00"], "dates month first"),
        (["14.01.11", "3.2.11"], ["2011-01-14 00:00:00", "2011-02-03 00:00:00"], "dates day first"),
        (["2011-01-14T10:00:00Z", "2011-02-03T09:05:00.123+01:00"], ["2011-01-14 10:00:00", "2011-02-03 09:05:00"], "dates year first"),
        (["2011/01/14 10:00", "2011/2/3 9:05"], ["2011-01-14 10:00:00", "2011-02-03 09:05:00"], "dates year first"),
        (["40557.4166667", "40577"], ["2011-01-14 10:00:00", "2011-02-03 00:00:00"], "dates as serial numbers"),
        (
            ["01/02/2011", "02/02/2011"],
            ["2011-02-01 00:00:00", "2011-02-02 00:00:00"],
            "dates day first (nothing tells it from month first)",
        ),
        (["05/01/2011", "02/02/2011"], ["2011-01-05 00:00:00", "2011-02-02 00:00:00"], "dates day first"),
        (["01/05/2011", "02/02/2011"], ["2011-01-05 00:00:00", "2011-02-02 00:00:00"], "dates month first"),
    ],
)
def test_dates_are_found(tmp_path: Path, times: list[str], expected: list[str], found: str) -> None:
    lines = [f"50000{number},10001,JAR,1,{time},2.5,1,France" for number, time in enumerate(times)]
    file = put(tmp_path, "\n".join([LINES[0], *lines]))
    assert [line.split(",")[4] for line in read(file)[1:]] == expected
    assert look(file).description.endswith(found)


def test_times_with_a_zone_become_local_if_the_mapping_has_the_shops_zone(tmp_path: Path) -> None:
    mapping = Mapping.model_validate({"format": {"time_zone": "Europe/Berlin"}})
    lines = ["1,2,JAR,1,2011-07-01T22:30:00Z,2.5,1,DE", "1,2,JAR,1,2011-01-01 10:00:00,2.5,1,DE"]
    assert [line.split(",")[4] for line in read(put(tmp_path, "\n".join([LINES[0], *lines])), mapping)[1:]] == [
        "2011-07-02 00:30:00",
        "2011-01-01 10:00:00",
    ]


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        (["2,55", "1.234,50"], ["2.55", "1234.50"]),
        (["2.55", "1,234.50"], ["2.55", "1234.50"]),
        (["£2.55", "£1,234"], ["2.55", "1234"]),
        (["2,55 €", "1 234,5 €"], ["2.55", "1234.5"]),
        (["1'234.50", "free"], ["1234.50", "free"]),
    ],
)
def test_numbers_are_found(tmp_path: Path, prices: list[str], expected: list[str]) -> None:
    lines = [f"500001;10001;JAR;1;2011-01-14;{price};1;FR" for price in prices]
    assert [line.split(",")[5] for line in read(put(tmp_path, "\n".join([";".join(HEADER), *lines])))[1:]] == expected


def test_a_mapping_overrides_what_would_be_found(tmp_path: Path) -> None:
    form = {"encoding": "cp1250", "delimiter": "|", "decimal": ",", "dates": "month first"}
    content = "|".join(HEADER) + "\n500001|10001|ŻÓŁĆ|1|01/02/2011|1,234|1|PL\n"
    [_, line] = read(put(tmp_path, content.encode("cp1250")), Mapping.model_validate({"format": form}))
    assert line == "500001,10001,ŻÓŁĆ,1,2011-01-02 00:00:00,1.234,1,PL"


TILL = {
    "columns": {
        "invoice": "Bon",
        "product": "Artikel",
        "description": None,
        "quantity": "Menge",
        "time": ["Datum", "Uhrzeit"],
        "price": "Einzelpreis",
        "customer": None,
        "country": None,
    },
    "rules": {"return_column": "Art", "return_values": ["Storno"], "not_products": ["PFAND"]},
}


def test_a_mapping_names_columns_and_those_that_the_shop_does_not_have(tmp_path: Path) -> None:
    content = (
        "Datum;Uhrzeit;Kasse;Bon;Artikel;Menge;Einzelpreis;Art;\n"
        "14.01.2011;10:05;1;B-7;J/1;2;2,50;Verkauf;\n14.01.2011;10:06;1;B-8;J2;1;2,50;Storno;\n"
    )
    file = put(tmp_path, content.encode("cp1252"))
    found = look(file, Mapping.model_validate(TILL))
    assert b"".join(found.lines()).decode().splitlines() == [
        "Invoice,StockCode,Quantity,InvoiceDate,Price,Kasse,Art",
        "B-7,J/1,2,2011-01-14 10:05:00,2.50,1,Verkauf",
        "B-8,J2,1,2011-01-14 10:06:00,2.50,1,Storno",
    ]
    assert found.description == "semicolon, UTF-8, dates day first, decimal comma, without Description, Customer ID, Country"
    assert found.rules == LineRules(return_column="Art", return_values=("Storno",), not_products=("PFAND",))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (
            "Datum;Bon;Artikel;Menge;Art\n1;2;3;4;5\n",
            "till.csv lacks the columns Uhrzeit, Einzelpreis of its mapping; it has Datum, Bon, Artikel, Menge, Art.",
        ),
        (
            "Datum;Uhrzeit;Bon;Artikel;Menge;Einzelpreis\n1;2;3;4;5;6\n",
            "till.csv lacks the column Art, which marks returns by its mapping.",
        ),
    ],
)
def test_a_file_that_is_not_as_its_mapping_says_is_refused(tmp_path: Path, content: str, fault: str) -> None:
    with pytest.raises(UnreadableFile) as raised:
        read(put(tmp_path, content, "till.csv"), Mapping.model_validate(TILL))
    assert str(raised.value) == fault


def test_common_names_need_no_mapping_and_decide_on_the_rules(tmp_path: Path) -> None:
    first = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
    shop = "Order ID,SKU,Product name,Qty,Order date,Unit price,Customer,Shipping country\n"
    row = "500001,10001,JAR,1,2011-01-14,2.5,1,FR\n"
    assert look(put(tmp_path, first + row)).rules == ONLINE_RETAIL
    assert look(put(tmp_path, shop + row)).rules == LineRules()
    assert read(tmp_path / "sales.csv") == [LINES[0], "500001,10001,JAR,1,2011-01-14 00:00:00,2.5,1,FR"]


def test_a_field_may_have_line_ends_and_an_open_quote_takes_no_other_lines(tmp_path: Path) -> None:
    broken = '500001,10001,"12"" PLATE\nBLUE",1,2011-01-14,2.5,1,FR'
    inch = '500002,10001,12" PLATE,1,2011-01-14,2.5,1,FR'
    unclosed = '500003,10001,"PLATE,1,2011-01-14,2.5,1,FR'
    last = "500004,10001,PLATE,1,2011-01-14,2.5,1,FR"
    lines = read(put(tmp_path, "\n".join([LINES[0], broken, inch, unclosed, last])))
    assert lines == [LINES[0], broken.replace("\n", " "), inch, unclosed, last]


def test_excels_first_line_may_name_the_delimiter(tmp_path: Path) -> None:
    assert read(put(tmp_path, "sep=;\r\n" + text(";", "\r\n"))) == LINES


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"\xd0\xcf\x11\xe0" + bytes(600), "is a workbook in Excel's old format, or with a password: save it as .xlsx without one."),
        (gzip.compress(pack_zip(b"x")), "packs a file that is packed itself: unpack it first."),
        (b"PAR1", "is cut off or damaged: it is no Parquet file that can be read."),
        (b"{}\n{}\n", "has no JSON object with keys."),
        (workbook({"Notes": [["call Ann"]]}), "is no CSV file of sales"),
        (workbook({"Notes": []}), "is empty: none of its sheets has rows below a header."),
        (b"PK\x03\x04 no archive", "is cut off or damaged: it cannot be unpacked."),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(tmp_path: Path, content: bytes, fault: str) -> None:
    with pytest.raises(UnreadableFile) as raised:
        read(put(tmp_path, content, "file"))
    assert str(raised.value).startswith(f"file {fault}")


def test_dates_of_any_type_are_read(tmp_path: Path) -> None:
    times = [date(2011, 1, 14), datetime(2011, 1, 14, 10, tzinfo=UTC)]
    for number, value in enumerate(times):
        columns = {name: pa.array([field]) for name, field in zip(HEADER, ROWS[0], strict=True)} | {"InvoiceDate": pa.array([value])}
        pq.write_table(pa.table(columns), tmp_path / f"{number}.parquet")
    assert [read(tmp_path / f"{number}.parquet")[1].rsplit(",", 4)[1] for number in range(2)] == [
        "2011-01-14 00:00:00",
        "2011-01-14 10:00:00",
    ]


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_the_mark_with_which_dos_ends_a_file_is_no_line(tmp_path: Path, delimiter: str) -> None:
    assert read(put(tmp_path, f"{text(delimiter, chr(13) + chr(10))}\x1a")) == LINES
