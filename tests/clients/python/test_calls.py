"""The command line against a gateway in front of a contract with every shape of binding and message."""

import base64
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.contract import Contract
from tests.clients.python.command import CommandLine
from tests.engines.ports import free_port
from tests.gateway.conftest import gateway
from tests.gateway.everything import EverythingServer, descriptors
from tests.loops import Loop, running_loop


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    return Contract(descriptors(tmp_path_factory.mktemp("descriptors")))


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    with running_loop() as loop:
        yield loop


@pytest.fixture(scope="module")
def service(contract: Contract, loop: Loop) -> Iterator[EverythingServer]:
    async def start() -> EverythingServer:
        server = EverythingServer(contract)
        await server.start()
        return server

    server = loop.run(start())
    yield server
    loop.run(server.stop())


@pytest.fixture(scope="module")
def url(contract: Contract, service: EverythingServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with gateway(contract, service, tmp_path_factory.mktemp("gateway"), {"GATEWAY_WORKERS": "1"}) as (url, _):
        yield url


@pytest.fixture
def everything(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, config_folder: Path, contract: Contract, url: str
) -> CommandLine:
    command_line = CommandLine(capsys, monkeypatch, contract.files.SerializeToString())
    command_line.set_environment({"XDG_CONFIG_HOME": str(config_folder), "HASHIRAMART_SERVER": url})
    return command_line


@pytest.mark.parametrize(
    ("option", "field", "value"),
    [
        ("--small=-7", "small", -7),
        ("--large=9007199254740993", "large", "9007199254740993"),
        ("--number=1.5", "number", 1.5),
        ("--truth", "truth", True),
        ("--kind=week", "kind", "KIND_WEEK"),
        ("--kind=WEEK", "kind", "KIND_WEEK"),
        ("--two-words=a b", "two_words", "a b"),
        (
            "--inner.inner.text=deep",
            "inner",
            {"text": "", "small": 0, "inner": {"text": "deep", "small": 0, "inner": None, "texts": []}, "texts": []},
        ),
        ("--time=2011-12-09", "time", "2011-12-09T00:00:00Z"),
        ("--time=2011-12-09T12:50:00+02:00", "time", "2011-12-09T10:50:00Z"),
        ("--duration=90", "duration", "90s"),
        ("--text-value=", "text_value", ""),
        ("--truth-value", "truth_value", True),
        ("--maybe-small=0", "maybe_small", 0),
        ('--inners={"text": "a"}', "inners", [{"text": "a", "small": 0, "inner": None, "texts": []}]),
        ("--words=a=b=c", "words", {"a": "b=c"}),
        ("--inners-by-number=7={}", "inners_by_number", {"7": {"text": "", "small": 0, "inner": None, "texts": []}}),
        ('--struct={"a": [1, null]}', "struct", {"a": [1, None]}),
        ("--value=null", "value", None),
    ],
)
def test_an_option_fills_its_field(everything: CommandLine, option: str, field: str, value: Any) -> None:
    assert everything.run("everything", "post", option, "-o", "json").json[field] == value


def test_a_repeated_option_fills_a_list(everything: CommandLine) -> None:
    assert everything.run("everything", "post", "--texts", "a,b", "--texts", "c", "-o", "json").json["texts"] == ["a,b", "c"]
    assert everything.run("everything", "get", "x", "--smalls", "1", "--smalls", "2", "-o", "json").json["smalls"] == [1, 2]


def test_arguments_are_what_is_in_the_path(everything: CommandLine) -> None:
    message = everything.run("everything", "get", "a/b ?%", "--inner.text", "x&y", "-o", "json").json
    assert (message["text"], message["inner"]["text"]) == ("a/b ?%", "x&y")


def test_a_body_is_one_field_and_its_options_are_its_own(everything: CommandLine) -> None:
    assert everything.run("inners", "create", "--text", "a", "--request-id", "r", "-o", "json").json["text"] == "a"


def test_a_change_names_only_what_is_given(everything: CommandLine, service: EverythingServer) -> None:
    assert everything.run("everything", "update", "a", "--request.inner.small", "0", "-o", "json").exit_code == 0
    request: Any = service.requests[-1]
    assert request.update_mask.paths == ["small"]
    assert "--update-mask" not in everything.run("everything", "update", "--help").out


def test_json_is_the_whole_body_and_options_win_over_it(everything: CommandLine, tmp_path: Path) -> None:
    body = {"text": "a", "small": 1}
    assert everything.run("everything", "post", "--json", json.dumps(body), "--small", "2", "-o", "json").json["small"] == 2
    assert everything.run("everything", "post", "--json", "-", "-o", "json", text=json.dumps(body)).json["text"] == "a"
    (tmp_path / "body.json").write_text(json.dumps(body))
    assert everything.run("everything", "post", "--json", f"@{tmp_path}/body.json", "-o", "json").json["text"] == "a"
    for text in ("{", "[1]", "@nowhere.json"):
        outcome = everything.run("everything", "post", "--json", text, "--small", "2")
        assert (outcome.exit_code, "'--json'" in outcome.err) == (2, True)


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("--small=x", "--small"),
        ("--kind=fortnight", "--kind"),
        ("--time=yesterday", "--time"),
        ("--duration=soon", "--duration"),
        ("--inners={", "--inners"),
        ("--words=a", "--words"),
        ("--texs=a", "--texs"),
    ],
)
def test_bad_input_names_the_option(everything: CommandLine, option: str, name: str) -> None:
    outcome = everything.run("everything", "post", option)
    assert (outcome.exit_code, outcome.out) == (2, "")
    assert name in outcome.err


def test_what_the_gateway_refuses_names_the_option(everything: CommandLine) -> None:
    outcome = everything.run("everything", "post", "--small", "3000000000")
    assert outcome.exit_code == 64 + 3
    assert outcome.err.startswith("error: --small: ")
    assert "(INVALID_ARGUMENT, MALFORMED_REQUEST)" in outcome.err


@pytest.mark.parametrize(("code", "number"), [("NOT_FOUND", 5), ("ALREADY_EXISTS", 6), ("ABORTED", 10), ("UNAVAILABLE", 14)])
def test_the_exit_code_is_that_of_the_status(everything: CommandLine, code: str, number: int) -> None:
    outcome = everything.run("errors", "fail", code)
    assert (outcome.exit_code, outcome.out) == (64 + number, "")
    assert f"({code}, REASON_{code})" in outcome.err


def test_a_stream_prints_messages_as_they_come(everything: CommandLine) -> None:
    assert [line["small"] for line in everything.run("everything", "watch", "a", "-o", "ndjson").lines] == [1, 2]
    assert everything.run("everything", "watch", "a").out.splitlines() == ["a  small=1", "a  small=2"]


def test_a_stream_that_breaks_has_printed_what_came(everything: CommandLine) -> None:
    outcome = everything.run("everything", "watch", "broken", "-o", "ndjson")
    assert (len(outcome.lines), outcome.exit_code) == (2, 64 + 10)
    assert everything.run("everything", "watch", "forbidden").exit_code == 64 + 7


def test_lines_of_a_file_or_of_standard_input_are_a_stream_of_requests(everything: CommandLine, tmp_path: Path) -> None:
    lines = '{"text": "a"}\nno JSON\n{"text": "b"}\n'
    outcome = everything.run("everything", "import", "-", "-o", "json", text=lines).json
    assert (outcome["row_count"], outcome["texts"], len(outcome["problems"])) == (3, ["a"], 1)
    (tmp_path / "rows.ndjson").write_text(lines)
    assert everything.run("everything", "import", f"{tmp_path}/rows.ndjson", "-o", "json").json["row_count"] == 3
    outcome = everything.run("everything", "import", "nowhere.ndjson")
    assert (outcome.exit_code, "nowhere.ndjson" in outcome.err) == (2, True)


def test_a_body_of_bytes_is_a_file_as_it_is(everything: CommandLine, tmp_path: Path) -> None:
    content = b'\x00\xff{"not": JSON'
    (tmp_path / "content").write_bytes(content)
    stored = everything.run("contents", "store", "a", str(tmp_path / "content"), "--small", "3", "-o", "json").json
    assert (stored["text"], base64.b64decode(stored["data"]), stored["small"]) == ("a", content, 3)
    assert "--json" not in everything.run("contents", "store", "--help").out


def test_a_deadline_ends_a_call(everything: CommandLine, service: EverythingServer) -> None:
    outcome = everything.run("waits", "wait", "30", "--timeout", "0.3")
    assert outcome.exit_code == 64 + 4
    assert everything.run("--timeout", "3", "everything", "get", "x").exit_code == 0
    assert service.seconds_left is not None
    assert 0 < service.seconds_left < 3.5


def test_ctrl_c_cancels_the_call(url: str, contract: Contract, service: EverythingServer, loop: Loop, tmp_path: Path) -> None:
    (tmp_path / "descriptors").write_bytes(contract.files.SerializeToString())
    program = "import sys, pathlib; from hashiramart_client.cli.main import main; "
    program += "sys.exit(main(sys.argv[2:], pathlib.Path(sys.argv[1]).read_bytes()))"
    command = [sys.executable, "-c", program, str(tmp_path / "descriptors"), "--server", url, "everything", "watch", "silent"]
    service.cancelled.clear()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline(), process.stdout.readline()] == ["silent  small=1\n", "silent  small=2\n"]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err.strip()) == (130, "")
    loop.run(service.cancelled.wait())


def test_a_gateway_that_is_away_is_named(everything: CommandLine) -> None:
    server = f"http://127.0.0.1:{free_port()}"
    outcome = everything.run("everything", "get", "x", "--server", server)
    assert outcome.exit_code == 64 + 14
    assert server in outcome.err
    assert "hint: " in outcome.err


@pytest.mark.parametrize("server", ["127.0.0.1:8000", "ftp://shop", "http://"])
def test_a_server_has_to_be_a_url(everything: CommandLine, server: str) -> None:
    outcome = everything.run("everything", "get", "x", "--server", server)
    assert (outcome.exit_code, "'--server'" in outcome.err) == (2, True)


def test_a_message_is_printed_value_by_value(everything: CommandLine) -> None:
    outcome = everything.run(
        "everything", "post", "--text", "a\x1b[31m", "--kind", "day", "--inner.text", "b", "--inners", '{"text": "c"}', "--words", "k=v"
    )
    lines = [line.split() for line in outcome.out.splitlines()]
    assert ["text", "a", "[31m"] in lines
    assert ["kind", "day"] in lines
    assert ["inner.text", "b"] in lines
    assert ["words.k", "v"] in lines
    assert lines[lines.index(["inners:"]) + 1][0] == "TEXT"
    assert "\x1b" not in outcome.out
