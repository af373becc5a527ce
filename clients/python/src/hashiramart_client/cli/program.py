"""The commands, made from the contracts.

What makes calls and prints is imported when a command runs, so that help and completion are there at once.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from hashiramart_client import contracts
from hashiramart_client.cli.options import RequestField, parameter_name, request_fields, value_type
from hashiramart_client.cli.requests import can_send
from hashiramart_client.cli.rpcs import Contracts, Rpc, varied_segment

DEFAULT_SERVER = "http://127.0.0.1:8000"
OUTPUTS = ("table", "json", "ndjson")
SHELLS = ("bash", "zsh", "fish")

_COMPLETION = {
    "bash": 'eval "$(hashiramart completion bash)"    # in ~/.bashrc',
    "zsh": 'eval "$(hashiramart completion zsh)"    # in ~/.zshrc',
    "fish": "hashiramart completion fish > ~/.config/fish/completions/hashiramart.fish",
}


def program(descriptors: bytes | None = None) -> click.Group:
    """The command `hashiramart`."""
    contract = Contracts(descriptors or contracts.descriptors())
    group = Commands(
        {name: partial(_group, contract, name, rpcs) for name, rpcs in contract.commands.items()},
        help="Calls a HashiraMart shop over its REST gateway. Sign in first: hashiramart sign-in.",
        params=shared_options(),
        epilog="Exit codes: 0 success, 1 rows of an import failed, 2 a wrong command line, 64 + the gRPC status code of a failed call "
        "(69 NOT_FOUND, 80 UNAUTHENTICATED), 130 after Ctrl-C.",
    )
    for command in (_sign_in(), _sign_out(), _completion(group)):
        group.add_command(command)
    return group


def shared_options() -> list[click.Parameter]:
    """The options of every command, which may also stand before its name."""
    file = click.Path(exists=True, dir_okay=False, path_type=Path)
    return [
        click.Option(
            ["server", "--server"],
            metavar="URL",
            envvar="HASHIRAMART_SERVER",
            help=f"The gateway. By default that of the last sign-in, or {DEFAULT_SERVER}.",
        ),
        click.Option(
            ["output", "--output", "-o"], type=click.Choice(OUTPUTS), help="How to print: a table, JSON, or a line of JSON per item."
        ),
        click.Option(["timeout", "--timeout"], type=click.FloatRange(min=0, min_open=True), help="The deadline of each call in seconds."),
        click.Option(
            ["tls_ca", "--tls-ca"], type=file, envvar="HASHIRAMART_TLS_CA", help="The authority that issued the gateway's certificate."
        ),
        click.Option(
            ["tls_certificate", "--tls-certificate"], type=file, envvar="HASHIRAMART_TLS_CERTIFICATE", help="A certificate of your own."
        ),
        click.Option(["tls_key", "--tls-key"], type=file, envvar="HASHIRAMART_TLS_KEY", help="Its private key."),
    ]


class Commands(click.Group):
    """A group whose commands are made when they are asked for."""

    def __init__(self, makers: Mapping[str, Callable[[], click.Command]], **attributes: Any) -> None:
        super().__init__(**attributes)
        self._makers = makers

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*self._makers, *self.commands})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.commands and cmd_name in self._makers:
            self.add_command(self._makers[cmd_name](), cmd_name)
        return super().get_command(ctx, cmd_name)


class CallCommand(click.Command):
    """A command whose help lists its own options before those of every command."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        shared = {option.name for option in shared_options()} | {"help"}
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        for title, is_shared in (("Options", False), ("Options of every command", True)):
            records = [record for option in options if (option.name in shared) is is_shared and (record := option.get_help_record(ctx))]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _group(contract: Contracts, name: str, commands: dict[str, list[Rpc]]) -> click.Group:
    makers = {command: partial(_command, contract, command, rpcs) for command, rpcs in commands.items()}
    return Commands(makers, name=name, help=f"{', '.join(commands)}.")


def _command(contract: Contracts, name: str, rpcs: list[Rpc]) -> click.Command:
    """The command of an RPC; of several, an argument says which."""
    rpc = rpcs[0]
    fields = [field for field in request_fields(rpc) if can_send(rpc.binding, field)]
    comment = contract.comments.get(rpc.full_name, "")

    def run(**parameters: Any) -> int:
        from hashiramart_client.cli.call import Call

        chosen = next((each for each in rpcs if len(rpcs) > 1 and _word(each, rpcs) == parameters["which"]), rpc)
        return Call(contract, chosen, fields, parameters).run()

    return CallCommand(
        name,
        params=[*_arguments(rpcs), *_options(contract, rpc, fields), *shared_options()],
        callback=run,
        help=f"{_plain(comment)}\n\nWho may call: {rpc.access}.",
        short_help=re.split(r"(?<=\.)\s", _plain(comment), maxsplit=1)[0],
    )


def _arguments(rpcs: list[Rpc]) -> list[click.Parameter]:
    """What is in the path, in its order, and the file of a stream of requests or of a body that is no JSON."""
    rpc = rpcs[0]
    arguments: list[click.Parameter] = []
    varied = varied_segment(rpcs) if len(rpcs) > 1 else None
    variables = iter(rpc.binding.variables)
    for position, segment in enumerate(rpc.binding.segments):
        if position == varied:
            arguments.append(click.Argument(["which"], type=click.Choice([_word(each, rpcs) for each in rpcs])))
        elif "{}" in segment:
            path = next(variables)
            field = path_field(rpc, path)
            metavar = None if field.enum_type else field.name.upper()
            arguments.append(click.Argument([parameter_name(path)], type=value_type(field), metavar=metavar))
    if rpc.method.client_streaming or rpc.content:
        arguments.append(click.Argument(["file"], type=click.File("rb"), metavar="FILE"))
    return arguments


def path_field(rpc: Rpc, path: str) -> Any:
    """The field of a request at a dotted path."""
    message: Any = rpc.request
    field: Any = None
    for name in path.split("."):
        field = message.fields_by_name[name]
        message = field.message_type
    return field


def _options(contract: Contracts, rpc: Rpc, fields: list[RequestField]) -> list[click.Parameter]:
    options: list[click.Parameter] = [field.option_of(_plain(contract.comments.get(field.descriptor.full_name, ""))) for field in fields]
    if rpc.binding.body and not rpc.method.client_streaming and not rpc.content:
        help = "The body as JSON: the text itself, @FILE, or - for standard input. Other options win over it."
        options.append(click.Option(["json", "--json"], metavar="JSON", help=help))
    if rpc.items:
        options.append(click.Option(["all", "--all"], is_flag=True, help="Follow the pages to the end."))
        options.append(click.Option(["limit", "--limit"], type=click.IntRange(min=1), help="Follow the pages up to so many items."))
    return options


def _word(rpc: Rpc, rpcs: list[Rpc]) -> str:
    position = varied_segment(rpcs)
    return rpc.binding.segments[position or 0]


def _plain(comment: str) -> str:
    return comment.replace("`", "")


def _sign_in() -> click.Command:
    def run(email: str | None, **shared: Any) -> None:
        from hashiramart_client.cli.call import Invocation, prompt_secret

        invocation = Invocation(shared)
        address = email or click.prompt("E-mail", err=True)
        password, gateway = prompt_secret("Password"), invocation.gateway
        invocation.sign_ins.sign_in(invocation.server, gateway, address, password, lambda: prompt_secret("One-time code"))
        click.echo(f"Signed in to {invocation.server} as {address}.", err=True)

    email = click.Option(["email", "--email"], help="The e-mail address of the account. Prompted for if it is not given.")
    text = (
        "Signs in. The password, and the one-time code of an account with a second factor, are prompted for, or read from standard input. "
        "The sign-in is kept for the next commands."
    )
    return CallCommand("sign-in", params=[email, *shared_options()], callback=run, help=text)


def _sign_out() -> click.Command:
    def run(**shared: Any) -> None:
        from hashiramart_client.cli.call import Invocation

        invocation = Invocation(shared)
        there = invocation.sign_ins.sign_out(invocation.server, invocation.gateway)
        click.echo(f"Signed out of {invocation.server}." if there else f"Nobody was signed in to {invocation.server}.", err=True)

    return CallCommand("sign-out", params=shared_options(), callback=run, help="Ends the sign-in.")


def _completion(group: click.Group) -> click.Command:
    def run(shell: str) -> None:
        from click.shell_completion import get_completion_class

        kind = get_completion_class(shell)
        if kind is None:
            raise click.UsageError(f"click has no completion for {shell}")
        click.echo(kind(group, {}, "hashiramart", "_HASHIRAMART_COMPLETE").source())

    lines = "\n".join(_COMPLETION.values())
    text = f"Prints the completion script of a shell.\n\n\b\n{lines}"
    return click.Command("completion", params=[click.Argument(["shell"], type=click.Choice(SHELLS))], callback=run, help=text)
