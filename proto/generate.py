"""Writes gen/ from the contracts: Python messages and stubs with their types, and one descriptor set with the comments.

From those follows clients/openapi.json, the REST API for generators of clients.

python proto/generate.py           write third_party/, gen/ and clients/openapi.json
python proto/generate.py --check   say what is stale, and exit 1 if anything is
"""

import filecmp
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "proto"
GENERATED = ROOT / "gen"
OPENAPI = ROOT / "clients" / "openapi.json"
# The .proto files of others that ours import. They are committed, so that the contracts build wherever they are copied to.
IMPORTS = ROOT / "third_party"
# The rules' schema, and what `go mod download` says of its content.
VALIDATE = "github.com/bufbuild/protovalidate@v1.2.2"
VALIDATE_SUM = "h1:2H/9/Kr97etSRqW3IJjTTb09z+zutkK2GDhDRbOnqr4="


def gather_imports() -> None:
    """Copies the .proto files that ours import to `IMPORTS`: Google's from their wheel, the validation rules from their Go module."""
    site_packages = Path(sysconfig.get_path("purelib"))
    for name in ("api/annotations", "api/field_behavior", "api/http", "rpc/error_details", "rpc/status"):
        source = Path("google") / f"{name}.proto"
        (IMPORTS / source).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(site_packages / source, IMPORTS / source)
    rules = Path("buf/validate/validate.proto")
    (IMPORTS / rules).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(validate_module() / "proto" / "protovalidate" / rules, IMPORTS / rules)


def validate_module() -> Path:
    """The folder of the validation rules' Go module, downloaded and held against its known sum."""
    go = shutil.which("go") or str(Path(sys.executable).with_name("go"))
    download = [go, "mod", "download", "-json", VALIDATE]
    answer = subprocess.run(download, check=False, capture_output=True, text=True, cwd=tempfile.gettempdir())
    module = json.loads(answer.stdout or "{}")
    if answer.returncode or module.get("Sum") != VALIDATE_SUM:
        sys.exit(f"could not download {VALIDATE}: {module.get('Error') or answer.stderr.strip() or 'its content is not what was expected'}")
    return Path(module["Dir"])


def generate(into: Path) -> None:
    """Writes to `into` what belongs in gen/."""
    contracts = sorted(str(path.relative_to(CONTRACTS)) for path in CONTRACTS.rglob("*.proto"))
    # Google's messages come generated in their wheels; the validation rules do not.
    rules = "buf/validate/validate.proto"
    run_protoc(
        f"--python_out={into}",
        f"--mypy_out=quiet:{into}",
        f"--grpc_python_out={into}",
        f"--mypy_grpc_out=quiet:{into}",
        f"--descriptor_set_out={into / 'descriptors.binpb'}",
        "--include_imports",
        "--include_source_info",
        *contracts,
    )
    run_protoc(f"--python_out={into}", f"--mypy_out=quiet:{into}", rules)
    for stub in into.rglob("*_pb2_grpc.py*"):
        if not re.search(r"class [A-Z]\w*Servicer", stub.read_text()):
            stub.unlink()  # a file without a service
    for folder in (into / "hashiramart", into / "buf"):
        for package in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
            (package / "__init__.py").touch()


def openapi_document(descriptors: Path) -> str:
    """The OpenAPI document of a descriptor set, made by the gateway in a process that imports the fresh gen/."""
    program = "import json, sys, pathlib; from gateway.app import offline_document; "
    program += "print(json.dumps(offline_document(pathlib.Path(sys.argv[1]).read_bytes()), indent=1, ensure_ascii=False))"
    command = [sys.executable, "-c", program, str(descriptors)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout


def run_protoc(*arguments: str) -> None:
    includes = [CONTRACTS, IMPORTS, files("grpc_tools") / "_proto"]
    plugins = [f"--plugin={name}={Path(sys.executable).with_name(name)}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]
    if status := protoc.main(["protoc", *(f"-I{path}" for path in includes), *plugins, *arguments]):
        sys.exit(status)


def differences(left: Path, right: Path) -> list[str]:
    """The files that only one of two folders has, or that differ between them, relative to the folder."""
    names = {path.relative_to(folder) for folder in (left, right) for path in folder.rglob("*") if path.is_file()}
    written = sorted(str(name) for name in names if "__pycache__" not in name.parts)
    _, changed, missing = filecmp.cmpfiles(left, right, written, shallow=False)
    return sorted(changed + missing)


def main() -> None:
    if "--check" not in sys.argv[1:]:
        gather_imports()
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        if "--check" in sys.argv[1:]:
            if stale := differences(fresh, GENERATED):
                sys.exit("gen/ is stale, run `make proto`: " + ", ".join(stale))
            if not OPENAPI.exists() or OPENAPI.read_text() != openapi_document(GENERATED / "descriptors.binpb"):
                sys.exit("clients/openapi.json is stale, run `make proto`")
            return
        shutil.rmtree(GENERATED, ignore_errors=True)
        shutil.copytree(fresh, GENERATED)
    OPENAPI.parent.mkdir(exist_ok=True)
    OPENAPI.write_text(openapi_document(GENERATED / "descriptors.binpb"))


if __name__ == "__main__":
    main()
