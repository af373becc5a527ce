"""Evaluation on another shop's data: every user gets a list, and invalid input is reported by file, column and row."""

import json
import sys
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.recommender import evaluate

SIZE = 24
WITHHELD = {user: user for user in range(SIZE)}
SQUARES = [(user, product) for user in range(SIZE) for product in range(SIZE) if user % 2 == product % 2 and user != product]


class Shop:
    """Runs the command on a train and a test file."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.train, self.test, self.out = (folder / f"{name}.parquet" for name in ("train", "test", "out"))
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def evaluate(self, train: pa.Table, test: pa.Table, *more: str) -> dict[str, float]:
        """The printed metrics."""
        pq.write_table(train, self.train)
        pq.write_table(test, self.test)
        files = ["--train", str(self.train), "--test", str(self.test), "--out", str(self.out)]
        self._monkeypatch.setattr(sys, "argv", ["evaluate", *files, *more])
        evaluate.main()
        values: dict[str, float] = json.loads(self._capsys.readouterr().out)
        return values

    def error(self, train: pa.Table, test: pa.Table) -> str:
        """The message that the command exits with."""
        with pytest.raises(SystemExit) as raised:
            self.evaluate(train, test)
        return str(raised.value)

    def ranked(self) -> dict[object, list[object]]:
        """The written lists: each user's products, best first."""
        lists: dict[object, list[object]] = {}
        for row in pq.read_table(self.out).to_pylist():
            lists.setdefault(row["user"], []).append(row["product"])
            assert row["rank"] == len(lists[row["user"]])
        return lists


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shop:
    return Shop(tmp_path, monkeypatch, capsys)


def pairs(rows: Sequence[tuple[int, int]], text: bool = False, **more: pa.Array) -> pa.Table:
    users, products = zip(*rows, strict=True)
    if text:
        return pa.table({"user": [f"user {one}" for one in users], "product": [f"product {one}" for one in products], **more})
    return pa.table({"user": users, "product": products, **more})


@pytest.mark.parametrize("text", [False, True])
def test_the_withheld_diagonal_of_a_checkerboard_is_found(shop: Shop, text: bool) -> None:
    values = shop.evaluate(pairs(SQUARES, text), pairs(list(WITHHELD.items()), text), "--k", "1")
    assert values == {"ndcg_at_1": 1, "recall_at_1": 1, "hit_rate_at_1": 1, "coverage_at_1": 1}
    expected = {f"user {user}": [f"product {user}"] for user in WITHHELD} if text else {user: [user] for user in WITHHELD}
    assert shop.ranked() == expected


def test_purchased_products_are_recommended_only_with_repeat(shop: Shop) -> None:
    train, test = pairs(SQUARES), pairs([(0, 2), (0, 0), (1, 1)])
    shop.evaluate(train, test, "--k", "24")
    assert set(shop.ranked()[0]) == {0, *range(1, SIZE, 2)}
    values = shop.evaluate(train, test, "--k", "24", "--repeat")
    assert set(shop.ranked()[0]) == set(range(SIZE))
    assert values["recall_at_24"] == 1


def test_every_user_of_the_test_file_gets_a_list_and_only_known_ones_are_scored(shop: Shop) -> None:
    values = shop.evaluate(pairs([*SQUARES, (50, 2), (51, 2)]), pairs([(0, 0), (99, 1), (98, 777)]), "--k", "3")
    assert set(shop.ranked()) == {0, 98, 99}
    # Product 2 has two more buyers than any other.
    assert shop.ranked()[99][0] == 2
    assert values["hit_rate_at_3"] == 1


@pytest.mark.parametrize("unit", ["date", "timestamp", "seconds", "days"])
def test_with_enough_days_the_ranker_learns_what_a_user_buys_again(shop: Shop, unit: str) -> None:
    random = np.random.default_rng(0)
    rows = [(user, (user + int(random.integers(3))) % SIZE, day) for user in range(60) for day in range(user % 7, 200, 7)]
    rows = [row for row in rows if row[2] < 196]
    days = [day for _, _, day in rows]
    moments = [datetime(2021, 3, 1) + timedelta(days=day, hours=5) for day in [*days, 200]]  # noqa: DTZ001
    in_unit: dict[str, list[object]] = {
        "date": [moment.date() for moment in moments],
        "timestamp": [*moments],
        "seconds": [int((moment - datetime(1970, 1, 1)).total_seconds()) for moment in moments],  # noqa: DTZ001
        "days": [*days, 200],
    }
    quantity = pa.array(random.integers(1, 5, len(rows)))
    train = pairs([(user, product) for user, product, _ in rows], time=pa.array(in_unit[unit][:-1]), quantity=quantity)
    test = pairs([(user, user % SIZE) for user in range(60)], time=pa.array([in_unit[unit][-1]] * 60), quantity=pa.array([1] * 60))
    values = shop.evaluate(train, test, "--k", "3", "--repeat")
    assert values["hit_rate_at_3"] > 0.9
    assert all(len(products) == 3 for products in shop.ranked().values())


def test_a_catalogue_too_large_for_ease_is_recommended_from(shop: Shop) -> None:
    # Two users each buy from the same 20 neighbouring products, in a catalogue of 10,200.
    rows = [(user, product) for user in range(1_020) for product in range(user // 2 * 20, user // 2 * 20 + 20) if (user + product) % 7]
    withheld = [(user, product) for user, product in ((user, user // 2 * 20 + 3) for user in range(1_020)) if (user + product) % 7 == 0]
    values = shop.evaluate(pairs(rows), pairs(withheld), "--k", "3")
    assert values["hit_rate_at_3"] == 1


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        (pa.table({"user": [1]}), "no column `product`"),
        (pa.table({"user": [1, None], "product": [1, 2]}), "column `user`, row 2"),
        (pa.table({"user": ["a", "b", ""], "product": [1, 2, 3]}), "column `user`, row 3"),
        (pa.table({"user": [1.5], "product": [1]}), "column `user`"),
        (pa.table({"user": [1, 2], "product": [1, 2], "quantity": [1, 0]}), "column `quantity`, row 2"),
        (pa.table({"user": [1, 2], "product": [1, 2], "time": [0.5, float("nan")]}), "column `time`, row 2"),
        (pa.table({"user": [1], "product": [1], "time": ["today"]}), "column `time`"),
        (pa.table({"user": pa.array([], pa.int64()), "product": pa.array([], pa.int64())}), "no rows"),
    ],
)
def test_invalid_input_is_reported_by_file_column_and_row(shop: Shop, broken: pa.Table, named: str) -> None:
    good = pairs(SQUARES)
    for train, test, file in ((broken, good, shop.train), (good, broken, shop.test)):
        message = shop.error(train, test)
        assert str(file) in message
        assert named in message


def test_files_that_do_not_fit_together_are_invalid(shop: Shop) -> None:
    assert "column `user`: string, but int64 in" in shop.error(pairs(SQUARES), pairs([(0, 0)], text=True))
    assert "nothing to find" in shop.error(pairs(SQUARES), pairs([(99, 0)]))


def test_a_file_that_is_missing_or_not_parquet_is_reported(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pairs(SQUARES), shop.test)
    monkeypatch.setattr(sys, "argv", ["evaluate", "--train", str(shop.train), "--test", str(shop.test), "--out", str(shop.out)])
    with pytest.raises(SystemExit, match="cannot be read"):
        evaluate.main()
    shop.train.write_text("user,product\n1,2\n")
    with pytest.raises(SystemExit, match="cannot be read"):
        evaluate.main()


def test_times_are_used_only_if_they_are_before_the_test(shop: Shop) -> None:
    days = pa.array([date(2021, 1, 1) + timedelta(days=number % 200) for number in range(len(SQUARES))])
    same = pa.array([date(2021, 1, 1)] * SIZE)
    values = shop.evaluate(pairs(SQUARES, time=days), pairs(list(WITHHELD.items()), time=same), "--k", "1")
    assert values["hit_rate_at_1"] == 1


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
def test_text_ids_are_the_same_however_a_file_holds_them(shop: Shop, kind: pa.DataType) -> None:
    train, test = pairs(SQUARES, text=True), pairs(list(WITHHELD.items()), text=True)
    user = test["user"].combine_chunks()
    other = user.dictionary_encode() if pa.types.is_dictionary(kind) else user.cast(kind)
    assert shop.evaluate(train, test.set_column(0, "user", other), "--k", "1")["recall_at_1"] == 1


@pytest.mark.parametrize("kind", [pa.int16(), pa.uint64()])
def test_integer_ids_are_the_same_however_wide_they_are(shop: Shop, kind: pa.DataType) -> None:
    train, test = pairs(SQUARES), pairs(list(WITHHELD.items()))
    assert shop.evaluate(train, test.set_column(1, "product", test["product"].cast(kind)), "--k", "1")["recall_at_1"] == 1


@pytest.mark.parametrize("seconds", [1, 60])
def test_times_since_an_unknown_moment_are_no_days(shop: Shop, seconds: int) -> None:
    times = pa.array([1440 * seconds * (number % 190) for number in range(len(SQUARES))])
    assert "column `time`: numbers from 0 to" in shop.error(pairs(SQUARES, time=times), pairs([(0, 0)]))


def test_dates_may_be_written_as_digits(shop: Shop) -> None:
    days = [20210101 + number % 28 for number in range(len(SQUARES))]
    assert shop.evaluate(pairs(SQUARES, time=pa.array(days)), pairs(list(WITHHELD.items())), "--k", "1")["recall_at_1"] == 1
    message = shop.error(pairs(SQUARES, time=pa.array([20210230, *days[1:]])), pairs([(0, 0)]))
    assert "column `time`, row 1: 20210230 is no date" in message


def test_a_product_of_one_buyer_with_many_orders_is_not_popular(shop: Shop) -> None:
    random = np.random.default_rng(1)
    rows = [(user, int(random.integers(20)), day) for user in range(60) for day in range(user % 7, 190, 14)]
    rows += [(99, 77, 180 + day % 10) for day in range(10)] + [(99, 77, day) for day in range(0, 180, 2)]
    times = pa.array([date(2021, 3, 1) + timedelta(days=day) for _, _, day in rows])
    train = pairs([(user, product) for user, product, _ in rows], time=times)
    test = pairs([*((user, user % 20) for user in range(60)), (200, 1), (99, 77)], time=pa.array([date(2021, 9, 10)] * 62))
    shop.evaluate(train, test, "--k", "10", "--repeat")
    lists = shop.ranked()
    assert lists.pop(99)[0] == 77
    assert not [user for user, products in lists.items() if 77 in products]


def test_four_weeks_without_a_sale_leave_a_list_for_everyone(shop: Shop) -> None:
    rows = [(user, (user + day) % SIZE, day) for user in range(60) for day in range(user % 7, 200, 7) if not 120 <= day < 190]
    times = pa.array([date(2021, 3, 1) + timedelta(days=day) for _, _, day in rows])
    test = pairs([(user, user % SIZE) for user in range(60)], time=pa.array([date(2021, 9, 25)] * 60))
    shop.evaluate(pairs([(user, product) for user, product, _ in rows], time=times), test, "--k", "3", "--repeat")
    assert all(len(products) == 3 for products in shop.ranked().values())
