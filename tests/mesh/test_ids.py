"""Ids of resources."""

import re
import time

from mesh.ids import new_id


def test_an_id_is_short_and_has_neither_capitals_nor_punctuation() -> None:
    assert re.fullmatch("[0-9a-v]{16}", new_id())


def test_ids_of_one_moment_differ() -> None:
    assert len({new_id() for _ in range(10_000)}) == 10_000


def test_a_later_id_sorts_after_an_earlier_one() -> None:
    earlier = new_id()
    time.sleep(0.002)
    assert earlier < new_id()
