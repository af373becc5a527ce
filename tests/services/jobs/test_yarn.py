"""What an application's state in YARN means for its job."""

import pytest

from services.jobs.yarn import Application


@pytest.mark.parametrize(
    ("state", "is_saved"),
    [("NEW", False), ("NEW_SAVING", False), ("SUBMITTED", True), ("ACCEPTED", True), ("RUNNING", True), ("KILLED", True)],
)
def test_an_application_counts_once_a_restarted_resourcemanager_would_know_it(state: str, is_saved: bool) -> None:
    assert Application("application_1", state, "UNDEFINED", "", "").is_saved == is_saved
