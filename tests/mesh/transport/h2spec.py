"""Runs h2spec, which Go fetches and builds, against the echo service: `python -m tests.mesh.transport.h2spec`."""

import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from tests.mesh.transport.go_tools import go_tool

ROOT = Path(__file__).resolve().parents[3]
PACKAGE, VERSION = "github.com/summerwind/h2spec/cmd/h2spec", "v2.2.1+incompatible"
_ANSWERS_GET = "the case supposes a server that answers GET with a body"
_CLOSED = "libnghttp2 ignores frames on closed streams"
_PRIORITY = "libnghttp2 ignores PRIORITY, which RFC 9113 has deprecated"
# The cases that fail, or may, and why.
EXPECTED = {
    "generic/2: Sends a WINDOW_UPDATE frame on half-closed (remote) stream": _ANSWERS_GET,
    "generic/2: Sends a PRIORITY frame on half-closed (remote) stream": _ANSWERS_GET,
    "http2/5.1.2: Sends HEADERS frames that causes their advertised concurrent stream limit to be exceeded": _ANSWERS_GET,
    "http2/5.1: half closed (remote): Sends a DATA frame": _ANSWERS_GET,
    "http2/5.1: half closed (remote): Sends a HEADERS frame": _ANSWERS_GET,
    "http2/5.1: closed: Sends a DATA frame after sending RST_STREAM frame": _CLOSED,
    "http2/5.1: closed: Sends a HEADERS frame after sending RST_STREAM frame": _CLOSED,
    "http2/5.1: closed: Sends a DATA frame": _CLOSED,
    "http2/5.1: closed: Sends a HEADERS frame": _CLOSED,
    "http2/5.1.1: Sends stream identifier that is numerically smaller than previous": _CLOSED,
    "http2/5.3.1: Sends PRIORITY frame that depend on itself": _PRIORITY,
    "http2/6.3: Sends a PRIORITY frame with 0x0 stream identifier": _PRIORITY,
    "http2/6.9.1: Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream": (
        "libnghttp2 ends the connection, not the stream alone"
    ),
}


def main() -> None:
    tool = go_tool(PACKAGE, VERSION, "h2spec")
    command = [sys.executable, "-m", "tests.mesh.transport.echo_server"]
    with tempfile.TemporaryDirectory() as folder, subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        port, report = server.stdout.readline().strip() if server.stdout else "", Path(folder) / "report.xml"
        subprocess.run([tool, "-h", "127.0.0.1", "-p", port, "-j", report], check=False, stdout=subprocess.DEVNULL)
        server.terminate()
        cases = list(ElementTree.parse(report).iter("testcase"))  # noqa: S314 the tool's own report
    failed = {f"{case.get('package')}: {case.get('classname')}" for case in cases if case.find("error") is not None}
    print(f"h2spec: {len(cases)} cases, {len(failed)} of them fail, {len(failed - EXPECTED.keys())} unexpectedly")
    for name in sorted(failed):
        print(f"  {name}: {EXPECTED.get(name, 'unexpected')}")
    sys.exit(bool(failed - EXPECTED.keys()))


if __name__ == "__main__":
    main()
