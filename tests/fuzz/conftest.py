"""How long the tests look for input that breaks a reader."""

import os

from hypothesis import HealthCheck, settings

# In each run of the tests, the same examples; by `make fuzz` others every time.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))

settings.register_profile(
    "fuzz",
    max_examples=EXAMPLES,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("fuzz")
