"""Injects faults into a stack under load: `make chaos DURATION=75 SEED=1`, or python -m chaos.

The stack is one of its own, in the folder `chaos` of the stack's folder. Exits with 1 if a write was lost or done twice, an answer was
wrong, a job was done twice, or a read failed although a replica was there.
"""

import argparse
import asyncio
import sys
import time
from contextlib import AsyncExitStack

from chaos.callers import Callers, Gateways
from chaos.faults import Faults
from chaos.inspection import inspect
from chaos.tally import is_excused, render, tally
from chaos.trial import ADMIN, TrialStack, trial_stack
from stack.demo.client import ShopClient
from stack.settings import Settings

# A part of the run that the database and the store are away at once, and at most a minute.
OUTAGE_SHARE, LONGEST_OUTAGE_SECONDS = 1 / 8, 60.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Injects faults into a stack under load.")
    parser.add_argument("--duration", type=float, default=75, help="for how many seconds")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same faults in the same order")
    arguments = parser.parse_args()
    _say("the stack under trial starts, with two replicas of each service")
    with trial_stack(Settings().stack_folder / "chaos") as stack:
        clean = asyncio.run(_run(stack, arguments.duration, arguments.seed))
    sys.exit(0 if clean else 1)


async def _run(stack: TrialStack, duration: float, seed: int) -> bool:
    outage = min(duration * OUTAGE_SHARE, LONGEST_OUTAGE_SECONDS)
    faults = Faults(stack, seed, outage, _say)
    async with AsyncExitStack() as opened:
        gateways = Gateways([await opened.enter_async_context(ShopClient(url)) for url in stack.gateways])
        callers = Callers(gateways, ADMIN, f"chaos-{seed}-{time.time():.0f}", seed)
        await callers.sign_in()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(callers.call_until_end())
            await asyncio.to_thread(faults.run, duration)
            for name in stack.processes:
                await asyncio.to_thread(stack.wait_ready, name)
            callers.ending.set()
        _say("the faults are over: the jobs end, and all is looked up")
        remains = await inspect(stack, gateways, callers, await gateways.token(ADMIN))
    found = tally(callers.journal, faults.windows, remains)
    excused = sum(is_excused(read, faults.windows) for read in callers.journal.failed_reads)
    print(render(found, callers.journal, faults.recoveries, excused), flush=True)
    return found.is_clean


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    main()
