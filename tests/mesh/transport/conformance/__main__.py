"""Runs connectconformance, which Go fetches, in both directions: `python -m tests.mesh.transport.conformance [grpcio]`."""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.mesh.transport.conformance.contract import compile_contract
from tests.mesh.transport.go_tools import go_tool, module_folder

ROOT = Path(__file__).resolve().parents[4]
MODULE, VERSION = "connectrpc.com/conformance", "v1.0.7"
# gRPC, in messages of protobuf, over plain text, TLS and TLS with client certificates; a limit on messages received is the default.
FEATURES = """
features:
  versions: [HTTP_VERSION_2]
  protocols: [PROTOCOL_GRPC]
  codecs: [CODEC_PROTO]
  compressions: [{compressions}]
  supports_tls_client_certs: true
"""
# A client is asked to compress its requests, which ours does not.
COMPRESSIONS = {"client": "COMPRESSION_IDENTITY", "server": "COMPRESSION_IDENTITY, COMPRESSION_GZIP"}


def main(transport: str) -> None:
    tool = go_tool(f"{MODULE}/cmd/connectconformance", VERSION, "connectconformance")
    failed = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compile_contract(module_folder(MODULE, VERSION) / "proto", folder / "contract.binpb")
        for mode, compressions in COMPRESSIONS.items():
            (folder / "features.yaml").write_text(FEATURES.format(compressions=compressions))
            program = [sys.executable, "-m", f"tests.mesh.transport.conformance.{mode}", str(folder / "contract.binpb"), transport]
            print(f"connectconformance, the {mode} under test, on {transport}", flush=True)
            run = subprocess.run([tool, f"--mode={mode}", f"--conf={folder}/features.yaml", "--", *program], cwd=ROOT, check=False)
            failed |= bool(run.returncode)
    sys.exit(failed)


if __name__ == "__main__":
    main(sys.argv[1] if sys.argv[1:] else "native")
