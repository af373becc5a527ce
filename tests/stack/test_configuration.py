"""The page of environment variables."""

import pytest

from stack import configuration
from stack.settings import ROOT
from stack.variables import variables


def test_the_page_is_what_the_settings_classes_say() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert page == configuration.page(), "run: .venv/bin/python -m stack.configuration > docs/configuration.md"


@pytest.mark.parametrize("section", configuration.SECTIONS, ids=lambda section: section.title)
def test_every_variable_has_a_description(section: configuration.Section) -> None:
    assert [variable.name for variable in variables(section.settings) if not variable.description] == []
