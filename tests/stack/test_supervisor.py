"""Values reach a program's environment unchanged."""

import pytest
from supervisor.datatypes import dict_of_key_value_pairs

from stack.processes.supervisor import quote_value


@pytest.mark.parametrize("value", ["plain", 'a "quoted" one', "it's", "a, b = c; d#e", '{"recommender": "a-b_c"}', "back\\slash"])
def test_a_value_is_passed_unchanged(value: str) -> None:
    assert dict_of_key_value_pairs(f"ONE={quote_value(value)},TWO={quote_value('2')}") == {"ONE": value, "TWO": "2"}


def test_a_value_that_cannot_be_represented_is_rejected() -> None:
    with pytest.raises(ValueError, match="both kinds of quotes"):
        quote_value('"it\'s"')
