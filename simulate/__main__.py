"""Lets simulated shoppers use the running shop: `make simulate WEEKS=10 SHOPPERS=800 SEED=1`, or python -m simulate.

It writes its report to simulation.html and simulation.json in the stack's folder.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx

from simulate.market import Market
from simulate.page import write_page
from simulate.run import MIN_WEEKS, Simulation
from simulate.shop import SimulatedShop, SimulationError, read_secrets
from simulate.terminal import Terminal
from stack.demo.client import Json, RestError, ShopClient
from stack.settings import Settings

_MIN_SHOPPERS, _MAX_SHOPPERS, _MAX_WEEKS = 20, 10_000, 520


def parse_arguments(command_line: Sequence[str]) -> argparse.Namespace:
    """The arguments. Exits with a message if one is wrong."""
    parser = argparse.ArgumentParser(prog="python -m simulate", description="Lets simulated shoppers use the running shop.")
    weeks, shoppers = _number("number of weeks", MIN_WEEKS, _MAX_WEEKS), _number("number of shoppers", _MIN_SHOPPERS, _MAX_SHOPPERS)
    parser.add_argument("--weeks", type=weeks, default=10, help="how many weeks to simulate; each shopper comes once a week")
    parser.add_argument("--shoppers", type=shoppers, default=800, help="how many shoppers there are")
    parser.add_argument("--seed", type=_number("seed", 0, 2**32 - 1), default=1, help="the same seed gives the same shoppers")
    parser.add_argument("--no-retraining", action="store_true", help="leave the model as it is: no training job")
    parser.add_argument("--out", type=Path, help="the folder of the report; by default the stack's")
    return parser.parse_args(command_line)


def main() -> None:
    arguments, settings, terminal = parse_arguments(sys.argv[1:]), Settings(), Terminal()
    folder = arguments.out or settings.stack_folder
    errors: list[str] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        report = asyncio.run(_run(arguments, settings, terminal))
        terminal.say("report", f"{_write(folder, report)}, and simulation.json beside it")
    except* (SimulationError, RestError, OSError) as group:
        errors = [str(error) for error in _leaves(group)]
    except* httpx.HTTPError:
        errors = [f"The shop does not answer at http://127.0.0.1:{settings.gateway_port}. Start it by `make up`."]
    # An exit inside of `except*` would be raised in a group, with a traceback.
    if errors:
        sys.exit("\n".join([*dict.fromkeys(errors), "The same command starts again, with new visitors, and ends what this run has begun."]))


async def _run(arguments: argparse.Namespace, settings: Settings, terminal: Terminal) -> Json:
    async with ShopClient(f"http://127.0.0.1:{settings.gateway_port}") as client:
        shop = SimulatedShop(client, read_secrets(settings.stack_folder))
        market = Market(await shop.products(), arguments.shoppers, arguments.seed)
        result = await Simulation(shop, market, arguments.weeks, terminal).run(not arguments.no_retraining)
    return {
        "create_time": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": arguments.seed,
        "currency": settings.shop_currency,
        **result,
    }


def _write(folder: Path, report: Json) -> Path:
    """Writes the report, and returns the file of its page."""
    (folder / "simulation.json").write_text(json.dumps(report, indent=1) + "\n")
    page = folder / "simulation.html"
    page.write_text(write_page(report))
    return page


def _number(name: str, least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no {name} from {least} to {most:,}")
        return int(text)

    return parse


def _leaves(error: BaseException) -> list[BaseException]:
    """The exceptions of a group and of the groups in it."""
    return [leaf for each in error.exceptions for leaf in _leaves(each)] if isinstance(error, BaseExceptionGroup) else [error]


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Interrupted; the same command starts again, with new visitors.")
