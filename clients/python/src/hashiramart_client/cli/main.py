"""The entry point of `hashiramart`, and its exit codes."""

import sys
from collections.abc import Sequence

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None, descriptors: bytes | None = None) -> int:
    """Runs a command, and returns its exit code.

    That is 0, 1 if rows of an import failed, 2 for a wrong command line, 64 + the gRPC status for a failed call, 130 after Ctrl-C.

    descriptors: a descriptor set with comments, in place of the contracts'
    """
    try:
        import click

        from hashiramart_client.cli.program import program
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("hashiramart"):
            raise
        sys.exit(f"The command line needs {missing.name}: install hashiramart-client[cli].")
    try:
        return program(descriptors).main(arguments, prog_name="hashiramart", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        print(file=sys.stderr)
        return INTERRUPTED
