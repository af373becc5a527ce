"""How long the tests look for input that breaks a reader: in each run with the same examples, by `make fuzz` with others every time."""

import os

from hypothesis import HealthCheck, settings

BUDGET = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")),
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
# Of tests whose every example is a call.
SMALL_BUDGET = settings(BUDGET, max_examples=int(os.environ.get("FUZZ_EXAMPLES", "15")))
