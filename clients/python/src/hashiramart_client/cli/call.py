"""The run of a command: its request, its pages or streams, and what it prints."""

import json
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import platformdirs

from hashiramart_client.cli import tables
from hashiramart_client.cli.gateway import CallFailed, Connection, Gateway
from hashiramart_client.cli.options import RequestField, parameter_name
from hashiramart_client.cli.program import DEFAULT_SERVER
from hashiramart_client.cli.requests import HttpRequest, Values, http_request
from hashiramart_client.cli.rpcs import Contracts, Rpc, is_map
from hashiramart_client.cli.sign_in import SignIns

# The most items of a page that services return.
_PAGE_SIZE = 100
# The exit code of an import of which some rows failed.
ROWS_FAILED = 1
_SIGN_IN = "sign in: hashiramart sign-in"


class Invocation:
    """The user, as the shared options say: which gateway, with whose sign-in.

    shared: the shared options of the command; those that stand before its name count where it has none of its own
    """

    def __init__(self, shared: dict[str, Any]) -> None:
        before = click.get_current_context().find_root().params
        self._options = {name: before.get(name) if shared.get(name) is None else shared[name] for name in before}
        self.sign_ins = SignIns(Path(platformdirs.user_config_dir("hashiramart")) / "sign-ins.json")

    @property
    def output(self) -> str:
        return self._options["output"] or "table"

    @cached_property
    def server(self) -> str:
        server = (self._options["server"] or self.sign_ins.server or DEFAULT_SERVER).rstrip("/")
        if urlsplit(server).scheme not in ("http", "https") or not urlsplit(server).hostname:
            raise click.BadParameter(f"{server!r} is not a URL such as https://shop.example.com", param_hint="'--server'")
        return str(server)

    @cached_property
    def gateway(self) -> Gateway:
        """The gateway, without a sign-in, open until the command ends."""
        names = ("tls_ca", "tls_certificate", "tls_key", "timeout")
        connection = Connection(self.server, **{name: self._options[name] for name in names})
        return click.get_current_context().with_resource(Gateway(connection))

    def signed_in_gateway(self, *, is_public: bool) -> Gateway:
        """The gateway with the user's access token, if the user is signed in.

        is_public: whether the call does without, if the token cannot be renewed
        """
        try:
            if token := self.sign_ins.access_token(self.server, self.gateway):
                self.gateway.authorize(token)
        except CallFailed:
            if not is_public:
                raise
        return self.gateway


class Call:
    """A call of an RPC.

    parameters: what click has read, by the keys of the fields
    """

    def __init__(self, contract: Contracts, rpc: Rpc, fields: list[RequestField], parameters: dict[str, Any]) -> None:
        self._contract = contract
        self._rpc = rpc
        self._fields = fields
        self._parameters = parameters
        self._invocation = Invocation(parameters)

    def run(self) -> int:
        """Makes the call, and prints what it returns. Returns the exit code: not 0 if rows of an import failed.

        Raises `CallFailed` in the words of the command line.
        """
        values, exit_code = self._values(), 0
        try:
            gateway = self._invocation.signed_in_gateway(is_public=self._rpc.access == "public")
            if self._rpc.method.client_streaming:
                exit_code = self._print(gateway.send_lines(self._request(values), self._parameters["file"]))
            elif self._rpc.method.server_streaming:
                for message in gateway.receive_lines(self._request(values)):
                    self._print_event(message)
            elif items := self._rpc.items:
                self._print_pages(gateway, values, items.name)
            else:
                exit_code = self._print(gateway.call(self._request(values)))
        except CallFailed as failure:
            raise self._explain(failure) from None
        return exit_code

    def _values(self) -> Values:
        """The JSON values of the options that were given."""
        values: Values = {}
        for field in self._fields:
            value = self._parameters[field.key]
            if field.is_secret:
                if value or (field.is_required and self._parameters["json"] is None):
                    values[field.path] = prompt_secret(field.option.replace("-", " ").capitalize())
            elif value is not None and value != ():
                values[field.path] = dict(value) if is_map(field.descriptor) else [*value] if isinstance(value, tuple) else value
        if self._parameters.get("json") is None:
            for field in self._fields:
                if field.is_required and field.path not in values:
                    raise click.MissingParameter(param_hint=f"'--{field.option}'", param_type="option")
        return values

    def _request(self, values: Values) -> HttpRequest:
        variables = {path: str(self._parameters[parameter_name(path)]) for path in self._rpc.binding.variables}
        return http_request(self._rpc, variables, values, self._whole_body())

    def _whole_body(self) -> Any:
        """The content of the file, or the JSON of `--json`; None without."""
        if self._rpc.content:
            return self._parameters["file"].read()
        text = self._parameters.get("json")
        return None if text is None else _json_body(text)

    def _print(self, message: dict[str, Any]) -> int:
        """Prints a response. Returns the exit code."""
        if self._invocation.output == "table":
            tables.print_message(self._rpc.response, message)
        else:
            _print_json(message, indented=self._invocation.output == "json")
        if failed := message.get("failed_count"):
            click.echo(f"error: {failed} of {message['row_count']} rows failed", err=True)
            return ROWS_FAILED
        return 0

    def _print_event(self, message: dict[str, Any]) -> None:
        if self._invocation.output != "table":
            _print_json(message, indented=False)
        elif pieces := self._rpc.pieces:
            print(message[pieces.name], end="", flush=True)
        else:
            print(tables.line(self._rpc.response, message), flush=True)

    def _print_pages(self, gateway: Gateway, values: Values, items: str) -> None:
        last: dict[str, Any] = {}
        rows: list[dict[str, Any]] = []
        for page in self._pages(gateway, values, items):
            last = page
            if self._invocation.output == "ndjson":
                for row in page[items]:
                    _print_json(row, indented=False)
            else:
                rows += page[items]
        if self._invocation.output == "json":
            _print_json(last | {items: rows}, indented=True)
        elif self._invocation.output == "table":
            tables.print_message(self._rpc.response, last | {items: rows})
        if last.get("next_page_token") and not self._parameters["limit"]:
            click.echo(f"There are more: --all, --limit, or --page-token {last['next_page_token']}", err=True)

    def _pages(self, gateway: Gateway, values: Values, items: str) -> Iterator[dict[str, Any]]:
        left = self._parameters["limit"]
        is_sized = ("page_size",) in values
        while True:
            if left and not is_sized:
                values = values | {("page_size",): min(left, _PAGE_SIZE)}
            page = gateway.call(self._request(values))
            if left:
                page[items] = page[items][:left]
                left -= len(page[items])
            yield page
            if not page["next_page_token"] or left == 0 or not (left or self._parameters["all"]):
                return
            values = values | {("page_token",): page["next_page_token"]}

    def _explain(self, failure: CallFailed) -> CallFailed:
        """The failure with the names of options for those of fields, and with what the contract says of its reason."""
        options = {".".join(field.path): f"--{field.option}" for field in self._fields}
        options |= {path: path.rpartition(".")[2].upper() for path in self._rpc.binding.variables}
        options |= {name.removeprefix(f"{self._rpc.binding.body}."): option for name, option in options.items()} | options
        named = []
        for field, description in failure.violations:
            name, bracket, index = field.partition("[")
            named.append((f"{options[name]}{bracket}{index}" if name in options else field, description))
        failure.violations = named
        if not failure.hint and not named:
            comment = self._contract.reason(self._rpc.package, failure.reason)
            failure.hint = " ".join(comment.partition(": ")[2].replace("`", "").split())
        if failure.code == "UNAUTHENTICATED":
            failure.hint = _SIGN_IN
        return failure


def prompt_secret(name: str) -> str:
    """A secret that is typed without being shown, or a line of standard input."""
    if sys.stdin.isatty():
        return str(click.prompt(name, hide_input=True, err=True))
    line = sys.stdin.readline().rstrip("\n")
    if not line:
        raise click.UsageError(f"standard input has no line for: {name}")
    return line


def _json_body(text: str) -> dict[str, Any]:
    """The JSON of `--json`."""
    try:
        if text.startswith("@"):
            text = Path(text[1:]).read_text()
        body = json.loads(sys.stdin.read() if text == "-" else text)
    except (OSError, ValueError) as error:
        raise click.BadParameter(str(error), param_hint="'--json'") from None
    if not isinstance(body, dict):
        raise click.BadParameter("this is not a JSON object", param_hint="'--json'")
    return body


def _print_json(message: Any, *, indented: bool) -> None:
    print(json.dumps(message, indent=2 if indented else None, ensure_ascii=False), flush=True)
