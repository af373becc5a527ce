"""Keeps optional libraries out of a process that serves a model. Imported before anything that imports LightGBM or httpx.

LightGBM imports scikit-learn and pandas where they are installed, and needs neither to predict; httpx and structlog import what their
command line and tracebacks in colour are made of. Together they are half of the CPU time of a start. The images have none of them.
"""

import sys

for _name in ("pandas", "pygments", "rich", "sklearn"):
    # An import of it raises `ModuleNotFoundError`.
    sys.modules[_name] = None  # type: ignore[assignment]
