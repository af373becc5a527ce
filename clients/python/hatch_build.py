"""Puts the generated code of the checkout, or of the source distribution, into what is built."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class GeneratedCode(BuildHookInterface[Any]):
    """The messages and stubs of gen/, the contracts with their comments, and the marker of typed packages."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        root = Path(self.root)
        generated = next(folder for folder in (root / "gen", root.parents[1] / "gen") if folder.is_dir())
        names = ("hashiramart", "buf", "descriptors.binpb")
        if self.target_name == "sdist":
            build_data["force_include"] |= {str(generated / name): f"gen/{name}" for name in names}
        else:
            targets = {"hashiramart": "hashiramart", "buf": "buf", "descriptors.binpb": "hashiramart_client/descriptors.binpb"}
            build_data["force_include"] |= {str(generated / name): targets[name] for name in names}
            build_data["force_include"][str(root / "src" / "hashiramart_client" / "py.typed")] = "hashiramart/py.typed"
