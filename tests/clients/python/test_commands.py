"""Every RPC of every contract has a command, with help from the contract."""

import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from hashiramart.access.v1 import access_pb2
from hashiramart_client import contracts
from hashiramart_client.cli.options import request_fields
from hashiramart_client.cli.program import program
from hashiramart_client.cli.rpcs import Contracts, Rpc
from tests.clients.python.command import CommandLine
from tests.e2e.stack import ROOT

CONTRACT = Contracts(contracts.descriptors())
COMMANDS = {(group, name): rpcs for group, names in CONTRACT.commands.items() for name, rpcs in names.items()}
PROGRAM = str(Path(sys.executable).with_name("hashiramart"))


def command_of(group: str, name: str) -> click.Command:
    root = program()
    context = click.Context(root)
    commands = root.get_command(context, group)
    assert isinstance(commands, click.Group)
    command = commands.get_command(context, name)
    assert command is not None
    return command


def test_every_rpc_but_those_for_services_has_a_command() -> None:
    files = FileDescriptorSet.FromString(contracts.descriptors())
    methods = {
        f"{file.package}.{service.name}.{method.name}": method.options
        for file, service in contracts.services(files)
        for method in service.method
    }
    served = [rpc.full_name for rpcs in COMMANDS.values() for rpc in rpcs]
    assert len(served) == len(set(served))
    without = {name: options for name, options in methods.items() if name not in served}
    assert not any(options.HasExtension(annotations_pb2.http) for options in without.values())
    assert {options.Extensions[access_pb2.access] for options in without.values()} <= {access_pb2.ACCESS_SERVICE}


@pytest.mark.parametrize(("group", "name"), COMMANDS)
def test_a_command_has_the_help_of_its_contract(command_line: CommandLine, group: str, name: str) -> None:
    outcome = command_line.run(group, name, "--help")
    assert outcome.exit_code == 0
    rpc = COMMANDS[group, name][0]
    assert CONTRACT.comments[rpc.full_name].split()[0] in outcome.out
    assert "Who may call: " in outcome.out
    assert "`" not in outcome.out


@pytest.mark.parametrize("rpcs", COMMANDS.values(), ids=lambda rpcs: rpcs[0].full_name)
def test_every_field_of_a_request_has_a_way_in(rpcs: list[Rpc]) -> None:
    """By the path, an option or a file; no two options have one name."""
    rpc = rpcs[0]
    command = command_of(rpc.group, rpc.name)
    options = [name for param in command.params if isinstance(param, click.Option) for name in (*param.opts, *param.secondary_opts)]
    assert len(options) == len(set(options))
    fields = request_fields(rpc)
    assert {f"--{field.option}" for field in fields} >= {name for name in options if name.startswith("--field")}
    assert all(CONTRACT.comments.get(field.descriptor.full_name) for field in fields)


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("products", "list"),
        ("products", "get"),
        ("products", "import"),
        ("jobs", "submit-etl"),
        ("jobs", "watch"),
        ("recommendations", "list"),
        ("forecasts", "sales"),
        ("models", "promote"),
        ("users", "get-current"),
    ],
)
def test_commands_are_called_as_one_would_guess(group: str, name: str) -> None:
    assert (group, name) in COMMANDS


def test_an_rpc_of_both_models_takes_the_model_as_its_argument(command_line: CommandLine) -> None:
    assert "{forecaster|recommender}" in command_line.run("models", "promote", "--help").out
    outcome = command_line.run("models", "promote", "planner", "--version", "1")
    assert (outcome.exit_code, "'planner' is not one of" in outcome.err) == (2, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_completion_script_for(shell: str, command_line: CommandLine) -> None:
    assert "_HASHIRAMART_COMPLETE" in command_line.run("completion", shell).out


def test_a_shell_completes_groups_commands_options_and_values(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for words, expected in {
        "hashiramart pro": "plain,products",
        "hashiramart products li": "plain,list",
        "hashiramart products list --sea": "plain,--search",
        "hashiramart forecasts sales --granularity we": "plain,week",
    }.items():
        monkeypatch.setenv("_HASHIRAMART_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        with pytest.raises(SystemExit):
            program().main([], prog_name="hashiramart", standalone_mode=False)
        assert expected in capsys.readouterr().out.splitlines()


def test_help_loads_nothing_that_only_calls_need() -> None:
    loaded = "import sys; from hashiramart_client.cli.main import main; main(['products', 'list', '--help']); print(sorted(sys.modules))"
    process = subprocess.run([sys.executable, "-c", loaded], check=True, capture_output=True, text=True)
    modules = process.stdout.splitlines()[-1]
    assert not [name for name in ("'httpx'", "'rich'", "'platformdirs'") if name in modules]


def test_the_program_is_installed() -> None:
    process = subprocess.run([PROGRAM, "--help"], check=True, capture_output=True, text=True)
    assert "sign-in" in process.stdout


def test_the_client_has_the_version_of_the_project() -> None:
    versions = [tomllib.loads((ROOT / path / "pyproject.toml").read_text())["project"]["version"] for path in ("", "clients/python")]
    assert len(set(versions)) == 1
