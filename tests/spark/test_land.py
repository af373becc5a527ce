"""What landing puts into the raw zone, and which files it rejects."""

import gzip
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from lake.errors import UnreadableFile
from lake.landing.landing import land
from tests.spark.shop import HEADER, TODAY, line

CONTENT = "\n".join([HEADER, *(line(invoice=f"{500_000 + number}") for number in range(300))]).encode() + b"\n"


def put(file: Path, today: date = TODAY) -> str:
    return land(file, f"file://{file.parent}/raw", today, lambda *_: None)


def stored(folder: Path) -> list[Path]:
    """All that is in the raw zone."""
    return sorted(path for path in (folder / "raw").rglob("*") if path.is_file())


def test_a_file_is_stored_in_parts_of_whole_lines_named_by_their_first_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lake.landing.landing.PART_BYTES", 8_000)
    (tmp_path / "sales.csv").write_bytes(CONTENT)
    put(tmp_path / "sales.csv")
    original, *parts = stored(tmp_path)
    assert original.parent.parent == tmp_path / "raw" / "sales" / f"ingest_date={TODAY}"
    assert b"".join(part.read_bytes() for part in parts) == CONTENT
    assert len(parts) > 2
    lines = CONTENT.splitlines(keepends=True)
    for part in parts:
        assert part.stat().st_size <= 8_000
        assert part.read_bytes().startswith(lines[int(part.stem.removeprefix("part-")) - 1])
    account = json.loads(original.read_text())
    assert (account["name"], account["header"]) == ("sales.csv", HEADER)
    assert (account["part_count"], account["line_count"]) == (len(parts), 301)


def test_the_same_content_lands_once_whatever_its_name_packing_and_day(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_bytes(CONTENT)
    put(tmp_path / "sales.csv")
    before = stored(tmp_path)
    (tmp_path / "again.csv.gz").write_bytes(gzip.compress(CONTENT))
    assert "was landed before" in put(tmp_path / "again.csv.gz", date(2026, 12, 1))
    assert stored(tmp_path) == before


def test_an_interrupted_landing_leaves_no_file_and_can_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lake.landing.landing.PART_BYTES", 8_000)
    (tmp_path / "sales.csv").write_bytes(CONTENT)

    def interrupted(doing: str, _: float) -> None:
        if doing == "reading back":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        land(tmp_path / "sales.csv", f"file://{tmp_path}/raw", TODAY, interrupted)
    assert not (tmp_path / "raw" / "sales" / f"ingest_date={TODAY}").exists()
    put(tmp_path / "sales.csv")
    assert b"".join(path.read_bytes() for path in stored(tmp_path) if path.suffix == ".csv") == CONTENT


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("short.csv", b"Invoice,StockCode\n500001,10001\n", "short.csv lacks the columns Description, Quantity, InvoiceDate"),
        ("mixed.csv", f"{HEADER}\n{line(name='É')}\n".encode() + line(name="É").encode("latin-1"), "mixed.csv is not in UTF-8: line 3"),
        ("cut.csv.gz", gzip.compress(CONTENT, mtime=0)[:-200], "cut.csv.gz is cut off or damaged: it cannot be unpacked."),
        ("nothing.csv", b"", "nothing.csv is empty: it has no header."),
        ("header.csv", f"{HEADER}\n".encode(), "header.csv is empty below its header."),
        ("picture.png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "picture.png is no CSV file"),
        ("page.html", b"<html>\n<p>Hello, you</p>\n", "page.html is no CSV file of sales"),
        ("twice.csv", f"{HEADER},Price\n{line()},1\n".encode(), "twice.csv names a column twice: Price."),
    ],
)
def test_a_file_that_the_etl_could_not_read_is_rejected_by_name(tmp_path: Path, name: str, content: bytes, fault: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableFile) as raised:
        put(tmp_path / name)
    assert raised.value.message.startswith(fault)
    assert stored(tmp_path) == []


SALES = [HEADER, *(line(invoice=f"{600_000 + number}") for number in range(40))]


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("mac.csv", "\r".join(SALES), "mac.csv has lines that end in CR alone"),
        ("half.csv", "\r".join(SALES[:2]) + "\n" + "\n".join(SALES[2:]), "half.csv has lines that end in CR alone"),
        ("late.csv", SALES[0] + "\n" + "\r".join(SALES[1:]), "late.csv has no line with as many fields as its header, which has 8."),
        ("endless.csv", "ZX+zrZv/" * 25_000, "endless.csv is no CSV file of sales: its first line is longer than 65,536 characters."),
        ("ragged.csv", ",\n".join(SALES)[len(HEADER) + 2 :], "ragged.csv is no CSV file of sales"),
        (
            "more.csv",
            SALES[0] + "\n" + ",\n".join([*SALES[1:], ""]),
            "more.csv has no line with as many fields as its header, which has 8.",
        ),
        ("field.csv", f'"{"x" * 60_000}",{HEADER[8:]}\n{line()}\n', "field.csv lacks the column Invoice."),
    ],
)
def test_a_file_without_the_lines_of_a_csv_file_is_rejected_in_a_short_sentence(
    tmp_path: Path, name: str, content: str, fault: str
) -> None:
    (tmp_path / name).write_text(content, newline="")
    with pytest.raises(UnreadableFile) as raised:
        put(tmp_path / name)
    assert raised.value.message.startswith(fault)
    assert len(raised.value.message) < 200
    assert stored(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"x", "huge.csv is no CSV file of sales: its first line is longer than"),
        (f"{HEADER}\n".encode(), "huge.csv is no CSV file of sales: its line 2 is longer than 1,048,576 bytes."),
        (f"{HEADER}\r".encode(), "huge.csv has lines that end in CR alone"),
    ],
)
def test_a_line_without_an_end_is_not_read_to_its_end(tmp_path: Path, content: bytes, fault: str) -> None:
    file = tmp_path / "huge.csv"
    file.write_bytes(content)
    # A hole of 100 GB: more than can be read.
    os.truncate(file, 100 * 2**30)
    with pytest.raises(UnreadableFile) as raised:
        put(file)
    assert raised.value.message.startswith(fault)


@pytest.mark.parametrize(
    ("change", "header"),
    [
        ("{},", f"{HEADER},"),
        ("{},,", f"{HEADER},,"),
        ("7,{}", f",{HEADER}"),
        ("7,{},", f",{HEADER},"),
        ("{},a,b", f"{HEADER},Note,Note"),
        ("{}", HEADER.replace(" ", "\u00a0")),
        ("{}", HEADER.replace("Price", "\u00a0Price\u00a0 ")),
        ("\ufeff{}", f"\ufeff{HEADER}"),
    ],
)
def test_a_header_may_have_empty_columns_and_no_break_spaces(tmp_path: Path, change: str, header: str) -> None:
    (tmp_path / "sales.csv").write_text(f"{header}\n{change.format(line())}\n")
    assert put(tmp_path / "sales.csv").startswith("sales.csv is in ")


@pytest.mark.parametrize("name", ["Alice's sales.csv", "a & b; $HOME `ls` 100%20 [1]{2}*?.csv", 'quo"te\\back.csv', "äöü 売上 #1.csv"])
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(CONTENT)
    assert put(tmp_path / name).startswith(f"{name} is in ")
    assert json.loads(stored(tmp_path)[0].read_text())["name"] == name
    assert "was landed before" in put(tmp_path / name)


def test_dirty_lines_are_no_reason_to_reject_a_file(tmp_path: Path) -> None:
    (tmp_path / "dirty.csv").write_text(f'{HEADER}\nnot a line\n\n{line(quantity=-1)}\n"unclosed')
    put(tmp_path / "dirty.csv")
    assert stored(tmp_path)[1].read_text() == (tmp_path / "dirty.csv").read_text()


def test_the_command_reports_the_outcome_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_bytes(CONTENT)
    command = [sys.executable, "-m", "spark.land", str(tmp_path / "sales.csv"), "--raw-root", f"file://{tmp_path}/raw"]
    landed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert landed.stdout.startswith("sales.csv is in ")
    missing = subprocess.run([*command[:3], str(tmp_path / "no.csv"), *command[4:]], capture_output=True, text=True, check=False)
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)
    assert "no.csv" in missing.stderr
