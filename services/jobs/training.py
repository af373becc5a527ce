"""The training of a job: the pipeline, run in a folder of its own, watched, and judged by what it leaves."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from ml.registry.client import RegistryClient, RegistryUnavailable
from ml.registry.errors import InvalidArtifact
from ml.registry.version import ModelVersion
from services.jobs.domain import STARTING_TO_TRAIN, Failure, Job, Limits, State
from services.jobs.joblog import JobLog
from services.jobs.program import Program


class Pipeline:
    """The training pipeline of a checkout, by the Python that has all it takes; jobs use it in folders of their own below `work`."""

    def __init__(self, python: Path, checkout: Path, work: Path, environment: Mapping[str, str]) -> None:
        self._python = python
        self._checkout = checkout
        self._work = work
        # DVC's stages are run by the Python that is found first, and what they say is not held back.
        path = f"{python.parent}:{environment.get('PATH', os.defpath)}"
        self._environment = {**environment, "PATH": path, "PYTHONUNBUFFERED": "1"}

    async def begin(self, job: Job) -> Run:
        """Begins to train. It ends with its worker, and all that it has begun with it."""
        self.clear(job)
        folder = self._work / job.id
        folder.mkdir(parents=True)
        command = [str(self._python), "-m", "ml.pipeline", "--recipe", job.recipe, "--result", str(folder / _RESULT), job.model]
        environment = {**self._environment, "PIPELINE_JOB_ID": job.id, "TMPDIR": str(folder)}
        guarded = ("setpriv", "--pdeathsig=TERM", "sh", "-c", _TOGETHER, "training")
        return Run(await Program.begin(*guarded, *command, environment=environment, folder=self._checkout), folder)

    def clear(self, job: Job) -> None:
        """Removes what a worker that was killed has left of the job."""
        shutil.rmtree(self._work / job.id, ignore_errors=True)


class Run(NamedTuple):
    """The pipeline, at work for a job."""

    program: Program
    folder: Path

    def result(self) -> Mapping[str, Any] | None:
        """What it has registered, and how that was judged; None if it has left nothing."""
        try:
            result: Mapping[str, Any] = json.loads((self.folder / _RESULT).read_text())
        except (FileNotFoundError, ValueError):
            return None
        return result

    async def end(self) -> None:
        """Returns when it is gone, with all that it has left."""
        await self.program.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Training:
    """The training of one job in the hands of one holder, carried on step by step.

    Whoever has the job begins to train, whatever was done before: the pipeline takes from its cache what others have done, and what
    was registered for the job already is not registered again, but told. No two train for one job at a time, for what a worker has
    begun ends with it.

    A model that was promoted serves, whatever ended its training after that, so that such a job has succeeded: only the registry knows.

    versions: those of a model in the registry
    """

    def __init__(self, pipeline: Pipeline, versions: Callable[[str], RegistryClient], limits: Limits, log: JobLog) -> None:
        self._pipeline = pipeline
        self._versions = versions
        self._limits = limits
        self._log = log
        self._run: Run | None = None

    async def step(self, job: Job, now: datetime) -> Job:
        """The job, a little further."""
        must_stop = self._limits.must_stop(job, now)
        if self._run is None:
            if must_stop:
                self._pipeline.clear(job)
                return await self._unless_promoted(job, self._limits.stopped(job, now), now)
            self._run = await self._pipeline.begin(job)
            return job._replace(stage=STARTING_TO_TRAIN, done_count=0, total_count=_STAGE_COUNT)
        program = self._run.program
        if must_stop:
            await program.kill()
        running, lines = program.running, program.said()
        await self._log.add("training", lines)
        job = _advanced(job, lines)
        if running:
            return job
        result = self._run.result()
        if program.exit_code == 0 and result:
            return _judged(job, result, now)
        return await self._unless_promoted(job, self._without_result(job, program, now), now)

    async def close(self) -> None:
        """Leaves the job, and ends what was begun for it."""
        if self._run:
            await self._run.end()

    async def _unless_promoted(self, job: Job, otherwise: Job, now: datetime) -> Job:
        """The job, done, if its model was promoted before its training ended without a result."""
        try:
            version = await self._versions(job.model).of_job(job.id)
        except InvalidArtifact:
            return otherwise
        except RegistryUnavailable:
            # Who registers may have promoted; it is worth waiting to know.
            undecided = job.state is State.CANCELLING and job.stage == _STAGES["register"] and not self._limits.timed_out(job, now)
            return job if undecided else otherwise
        return job.trained(_told(version), now) if version and version.was_promoted else otherwise

    def _without_result(self, job: Job, program: Program, now: datetime) -> Job:
        if program.exit_code == os.EX_TEMPFAIL:
            # The result of the ETL stands, and nothing is lost by waiting.
            waiting = self._limits.waiting(job, Failure("ENGINE_UNAVAILABLE", program.last_line), now)
            return self._limits.stopped(waiting._replace(state=job.state), now) if self._limits.must_stop(job, now) else waiting
        if self._limits.must_stop(job, now):
            return self._limits.stopped(job, now)
        if program.exit_code not in range(_SIGNALLED):
            return self._limits.retried(job, Failure("APPLICATION_FAILED", "somebody killed the training, or memory was short"), now)
        return job.failed(Failure("APPLICATION_FAILED", "the training ended with a fault of its own; the log says which"), now)


# In the job's folder.
_RESULT = "result.json"
# Runs a command, and ends all that it has begun when told to end, as it is when its worker is gone.
_TOGETHER = 'trap "kill -KILL 0" TERM; "$@" & wait $!'

# From here on an exit code tells of a signal.
_SIGNALLED = 128

# The pipeline's stages for one model, as DVC says that it has come to them, and what people call them.
_COME_TO = re.compile(r"(?:Running stage|Stage) '(\w+?)(?:_recommender|_forecaster)?'")
_STAGES = {"get_cleaned_data": "fetching clean data", "train": "training", "evaluate": "evaluating", "register": "registering"}
_STAGE_COUNT = len(_STAGES)


def _advanced(job: Job, lines: list[str]) -> Job:
    """The job at the last stage that these lines tell of."""
    for found in filter(None, map(_COME_TO.match, lines)):
        if found[1] in _STAGES:
            job = job._replace(stage=_STAGES[found[1]], done_count=list(_STAGES).index(found[1]))
    return job


def _told(version: ModelVersion) -> Mapping[str, Any]:
    """A promoted version, as the job tells of it."""
    return {"model_version": version.number, "promoted": True, "run_id": version.run_id, "metrics": version.provenance.metrics}


def _judged(job: Job, result: Mapping[str, Any], now: datetime) -> Job:
    told = result["provenance"]
    training = {
        "model_version": result["version"],
        "promoted": result["promoted"],
        "run_id": result["run_id"],
        "metrics": told["metrics"],
    }
    if result["promoted"]:
        return job.trained(training, now)
    failed = [check for check in told["gate"]["checks"] if not check["passed"]]
    reasons = "; ".join(f"{check['name']}: {check['measured']:.4f}, required {check['required']:.4f}" for check in failed)
    return job.refused(training, f"version {result['version']} did not pass the gate: {reasons or 'it was not checked'}", now)
