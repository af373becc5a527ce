"""Fills a stack that is up with demo users, data, products and models: `python -m stack.demo`.

Steps that have been done are skipped, so that an interrupted demo continues where it was, and a second one changes nothing.
"""

import asyncio
import signal
import sys
from collections.abc import Iterator

import httpx

from lake.errors import LakeError
from stack.demo.calendar import fill_calendar
from stack.demo.client import RestError, ShopClient
from stack.demo.context import DemoContext, DemoError, say
from stack.demo.data import clean_data, has_customers, import_products
from stack.demo.models import FORECASTER, RECOMMENDER, ensure_champion
from stack.demo.slots import create_slot
from stack.demo.summary import show
from stack.demo.users import create_users, link_shopper
from stack.settings import Settings


def main() -> None:
    errors: list[str] = []
    try:
        asyncio.run(_run(Settings()))
    except* (DemoError, RestError, LakeError, httpx.HTTPError) as group:
        errors = [str(error) or type(error).__name__ for error in _leaves(group)]
    # An exit inside of `except*` would be raised in a group, with a traceback.
    if errors:
        sys.exit("\n".join([*errors, "Run the same command again to continue."]))


async def _run(settings: Settings) -> None:
    # Cancelled by these signals, the steps stop the programs that they have started, such as a training.
    if task := asyncio.current_task():
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with ShopClient(f"http://127.0.0.1:{settings.gateway_port}") as shop:
        demo = DemoContext(settings, shop)
        await create_users(demo)
        await clean_data(demo)
        personal = await has_customers(demo)
        if not personal:
            say("recommender", "is left out: the sales name no customers")
        async with asyncio.TaskGroup() as tasks:
            for step in (import_products(demo), ensure_champion(demo, FORECASTER)):
                tasks.create_task(step)
            for step in (link_shopper(demo), ensure_champion(demo, RECOMMENDER)) if personal else ():
                tasks.create_task(step)
        await fill_calendar(demo)
        await create_slot(demo)
        await show(demo, personal)


def _leaves(group: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    """The exceptions of a group and of the groups in it."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("Interrupted; run the same command again to continue.")
