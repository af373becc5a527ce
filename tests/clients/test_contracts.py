"""The contracts build outside of this repository, and the clients' lockfiles install anywhere."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from stack.settings import ROOT

BUF = Path(sys.executable).with_name("buf")
TEMPLATES = [ROOT / "clients" / folder / "buf.gen.yaml" for folder in ("go", "java", "typescript/node")]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What a stranger copies: the contracts, their imports, and buf's configuration."""
    for folder in ("proto", "third_party"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    return tmp_path


def test_the_contracts_build_by_buf_and_by_protoc(copy: Path) -> None:
    subprocess.run([BUF, "build", "--output", "buf.binpb"], check=True, cwd=copy)
    contracts = [str(path.relative_to(copy / "proto")) for path in (copy / "proto").rglob("*.proto")]
    protoc = [sys.executable, "-m", "grpc_tools.protoc", "-Iproto", "-Ithird_party", "--descriptor_set_out=protoc.binpb"]
    subprocess.run([*protoc, *contracts], check=True, cwd=copy)
    names = {file.name for file in FileDescriptorSet.FromString((copy / "protoc.binpb").read_bytes()).file}
    assert names == set(contracts)
    assert names < {file.name for file in FileDescriptorSet.FromString((copy / "buf.binpb").read_bytes()).file}


@pytest.mark.parametrize("folder", ["node", "web"])
def test_npms_lockfile_leaves_the_registry_to_the_installation(folder: str) -> None:
    packages = json.loads((ROOT / "clients" / "typescript" / folder / "package-lock.json").read_text())["packages"]
    assert [name for name, package in packages.items() if "resolved" in package] == []


def test_cargos_lockfile_names_the_default_registry_alone() -> None:
    """By the identifier that Cargo gives it everywhere; a mirror in a user's configuration replaces it."""
    packages = tomllib.loads((ROOT / "clients" / "rust" / "Cargo.lock").read_text())["package"]
    assert {package.get("source") for package in packages} == {None, "registry+https://github.com/rust-lang/crates.io-index"}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: str(template.parent.relative_to(ROOT)))
def test_no_client_has_code_of_the_options_that_servers_read(template: Path) -> None:
    descriptors = FileDescriptorSet.FromString((ROOT / "gen" / "descriptors.binpb").read_bytes())
    ours = [file for file in descriptors.file if file.package.startswith("hashiramart.")]
    options = {f"{file.package}.{extension.name}" for file in ours for extension in file.extension}
    [excluded] = re.findall(r"exclude_types: \[(.*)\]", template.read_text())
    assert set(excluded.split(", ")) == {"buf.validate", "google.api", *options}
