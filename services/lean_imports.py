"""Keeps optional libraries out of a service's process. Imported by its program alone, before what imports LightGBM, httpx or structlog.

LightGBM imports scikit-learn and pandas where they are installed, and needs neither to predict; httpx and structlog import what their
command line and tracebacks in colour are made of. Together they are half of the CPU time of the start of a service with a model. The
images have none of them.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_LEFT_OUT = ("pandas", "pygments", "rich", "sklearn")


class _LeftOut(MetaPathFinder):
    """Finds these libraries nowhere. (An entry of None in `sys.modules` would be a module to Cython's `import`, as in pyarrow.)"""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname in _LEFT_OUT:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


sys.meta_path.insert(0, _LeftOut())
