"""What a program is told, it is told to the letter."""

import pytest
from supervisor.datatypes import dict_of_key_value_pairs

from stack.processes.supervisor import quoted


@pytest.mark.parametrize("value", ["plain", 'a "quoted" one', "it's", "a, b = c; d#e", '{"recommender": "a-b_c"}', "back\\slash"])
def test_a_value_comes_as_it_is(value: str) -> None:
    assert dict_of_key_value_pairs(f"ONE={quoted(value)},TWO={quoted('2')}") == {"ONE": value, "TWO": "2"}


def test_a_value_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(ValueError, match="both kinds of quotes"):
        quoted('"it\'s"')
