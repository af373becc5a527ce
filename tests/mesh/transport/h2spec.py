"""Runs h2spec, which Go fetches and builds, against the echo service: `python -m tests.mesh.transport.h2spec`."""

import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from tests.mesh.transport.go_tools import go_tool

ROOT = Path(__file__).resolve().parents[3]
PACKAGE, VERSION = "github.com/summerwind/h2spec/cmd/h2spec", "v2.2.1+incompatible"
_ANSWERED = "the request may have been answered, by its header alone, before the frame arrives"
_CLOSED = "libnghttp2 ignores frames on closed streams"
_PRIORITY = "libnghttp2 ignores PRIORITY, which RFC 9113 has deprecated"
# The cases that fail, or may, and why.
EXPECTED = {
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
    "http2/6.9: Sends a WINDOW_UPDATE frame with a flow control window increment of 0 on a stream": _ANSWERED,
    "http2/8.1: Sends a second HEADERS frame without the END_STREAM flag": _ANSWERED,
    "http2/8.1.2.1: Sends a HEADERS frame that contains a pseudo-header field as trailers": _ANSWERED,
    'http2/8.1.2.6: Sends a HEADERS frame with the "content-length" header field which does not equal the DATA frame payload length': (
        _ANSWERED
    ),
    'http2/8.1.2.6: Sends a HEADERS frame with the "content-length" header field which does not equal the sum of the multiple DATA frames '
    "payload length": _ANSWERED,
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
