"""The step that trains the models."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from ml.pipeline.progress import Progress
from stack import training
from stack.demo.client import Json, RestError
from stack.demo.context import STAFF, DemoContext, DemoError, say
from stack.processes.definitions import load_secrets
from stack.settings import ROOT

RECOMMENDER, FORECASTER = "recommender", "forecaster"
# How long a service may take to serve a model after its promotion.
SERVING_SECONDS = 60
# The interval at which the progress of a training is read.
PROGRESS_SECONDS = 0.5


async def ensure_champion(demo: DemoContext, model: str) -> None:
    """Trains a model unless it has a champion, and waits until the service serves it."""
    if await _champion(demo, model) is None:
        await _train(demo, model)
    deadline = time.monotonic() + SERVING_SECONDS
    while (champion := await _champion(demo, model)) and not champion["serving"]:
        if time.monotonic() > deadline:
            raise DemoError(f"The {model} does not serve its champion; `make logs S={model}` may say why.")
        await asyncio.sleep(1)
    if champion is None:
        raise DemoError(f"The {model} did not pass the gate; {_log(demo, model)} says why.")
    say(model, f"version {champion['version']} is the champion, and is served")


async def _champion(demo: DemoContext, model: str) -> Json | None:
    try:
        return await (await demo.sign_in(STAFF)).call("GET", f"/models/{model}")
    except RestError as error:
        if error.reason != "NO_MODEL":
            raise
        return None


async def _train(demo: DemoContext, model: str) -> None:
    """Runs the pipeline for a model with the quick recipe."""
    training.configure(demo.settings, demo.store)
    with _log(demo, model).open("w") as log, TemporaryDirectory(prefix="demo-") as folder:
        progress = Path(folder, "progress.jsonl")
        progress.touch()
        environment = training.environment(demo.settings, demo.store) | training.secret_environment(load_secrets(demo.settings))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ml.pipeline", "--recipe", "quick", model),
            cwd=ROOT,
            env=os.environ | environment | {"PYTHONUNBUFFERED": "1", "PIPELINE_PROGRESS": str(progress)},
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
            # A process group of its own, which can be stopped as a whole.
            start_new_session=True,
        )
        try:
            async for step in _follow(progress, process):
                say(model, step.message)
            if process.returncode:
                raise DemoError(f"The {model} could not be trained; {_log(demo, model)} says why.")
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGTERM)
                await process.wait()


async def _follow(file: Path, process: asyncio.subprocess.Process) -> AsyncIterator[Progress]:
    """Yields the progress that the pipeline appends to a file, until its process has ended."""
    with file.open() as lines:
        ended = False
        while not ended:
            with suppress(TimeoutError):
                async with asyncio.timeout(PROGRESS_SECONDS):
                    await process.wait()
            # Lines written before the end are still read below.
            ended = process.returncode is not None
            for line in lines:
                yield Progress.model_validate_json(line)


def _log(demo: DemoContext, model: str) -> Path:
    return demo.settings.logs / f"training-{model}.log"
