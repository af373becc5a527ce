"""Runs the training of a job: the pipeline, in a folder of its own."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple

from ml.registry.client import RegistryClient, RegistryUnavailable
from ml.registry.errors import InvalidArtifact
from ml.registry.version import ModelVersion
from services.jobs import progress
from services.jobs.child_process import ChildProcess
from services.jobs.domain import STARTING_TRAINING, Failure, Job, JobState, RetryPolicy
from services.jobs.log_collector import LogCollector
from services.jobs.progress import ProgressFile

# The pipeline's stages for one model, in their order, and what a job calls them.
STAGES = {"get_cleaned_data": "fetching clean data", "train": "training", "evaluate": "evaluating", "register": "registering"}

# In the job's folder.
_RESULT, _PROGRESS, _LEASE = "result.json", "progress.jsonl", "lease"
# Runs a command. Kills its whole process group, itself included, on SIGTERM, and once the lease has ended, whose end the file $0 holds
# in seconds of the machine's uptime: a paused worker cannot.
_GUARD = """
trap "kill -KILL 0" TERM
while sleep 1; do
    read -r up rest < /proc/uptime && read -r end < "$0" && [ "${up%%.*}" -lt "${end%%.*}" ] || kill -KILL 0
done > /dev/null 2>&1 &
guard=$!
"$@" & wait $!
code=$?
kill $guard
exit $code
"""
_UPTIME = Path("/proc/uptime")
# A shell reports the signal n that ended a command as exit code 128 + n.
_FIRST_SIGNAL_CODE = 128


class TrainingPipeline:
    """The training pipeline of a checkout.

    python: the interpreter of an environment with everything that the pipeline needs
    folder: where each job gets a folder of its own
    """

    def __init__(self, python: Path, checkout: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self._python = python
        self._checkout = checkout
        self._folder = folder.resolve()
        # DVC's stages call whichever `python` is first in the path. Their output is not buffered.
        path = f"{python.parent}:{environment.get('PATH', os.defpath)}"
        self._environment = {**environment, "PATH": path, "PYTHONUNBUFFERED": "1"}

    async def start(self, job: Job, lease_end: float) -> PipelineRun:
        """Starts to train. The run ends with its worker or its lease, with all the processes that it has started.

        lease_end: by `uptime()`
        """
        self.clear(job)
        # Of this run alone: a worker that was paused removes its own afterwards.
        folder = self._folder / f"{job.id}-{token_hex(4)}"
        folder.mkdir(parents=True)
        command = [str(self._python), "-m", "ml.pipeline", "--recipe", job.recipe, "--result", str(folder / _RESULT), job.model]
        lease = folder / _LEASE
        _write_lease(lease, lease_end)
        own = {
            "PIPELINE_JOB_ID": job.id,
            "PIPELINE_LEASE": str(lease),
            progress.VARIABLE: str(folder / _PROGRESS),
            "TMPDIR": str(folder),
        }
        guarded = ("setpriv", "--pdeathsig=TERM", "sh", "-c", _GUARD, str(lease))
        process = await ChildProcess.start(*guarded, *command, environment={**self._environment, **own}, folder=self._checkout)
        return PipelineRun(process, folder, ProgressFile(folder / _PROGRESS))

    def clear(self, job: Job) -> None:
        """Removes the folders that killed workers left of the job."""
        for folder in self._folder.glob(f"{job.id}-*"):
            shutil.rmtree(folder, ignore_errors=True)


class PipelineRun(NamedTuple):
    """A run of the pipeline for a job."""

    process: ChildProcess
    folder: Path
    progress: ProgressFile

    def extend_lease(self, end: float) -> None:
        """Lets it go on until then, by `uptime()`."""
        _write_lease(self.folder / _LEASE, end)

    def result(self) -> Mapping[str, Any] | None:
        """The registration that it has written; None if it has not."""
        try:
            result: Mapping[str, Any] = json.loads((self.folder / _RESULT).read_text())
        except (FileNotFoundError, ValueError):
            return None
        return result

    async def close(self) -> None:
        """Kills it and removes its folder."""
        await self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class TrainingAttempt:
    """The training of a job's current attempt, advanced by the job's holder.

    Each holder starts the pipeline, whatever was done before: the pipeline takes finished stages from its cache, and a model that was
    already registered for the job is not registered again. No two train for one job at a time, for a run ends with its worker.

    A promoted model serves, however its training ended afterwards. Such a job has succeeded, and only the registry knows.

    registry: the registry's client for a model
    """

    def __init__(
        self, pipeline: TrainingPipeline, registry: Callable[[str], RegistryClient], retry_policy: RetryPolicy, log: LogCollector
    ) -> None:
        self._pipeline = pipeline
        self._registry = registry
        self._policy = retry_policy
        self._log = log
        self._run: PipelineRun | None = None
        self._lease_end = 0.0

    def extend_lease(self, end: float) -> None:
        """Lets the training go on until then, by `uptime()`; without another extension it ends itself."""
        self._lease_end = end
        if self._run and self._run.folder.exists():
            self._run.extend_lease(end)

    async def step(self, job: Job, now: datetime) -> Job:
        """Advances the job by one step."""
        must_stop = self._policy.must_stop(job, now)
        if self._run is None:
            if must_stop:
                self._pipeline.clear(job)
                return await self._unless_promoted(job, self._policy.stop(job, now), now)
            self._run = await self._pipeline.start(job, self._lease_end)
            return job._replace(stage=STARTING_TRAINING, done_count=0, total_count=len(STAGES))
        process = self._run.process
        if must_stop:
            await process.kill()
        is_running = process.is_running
        await self._log.append("training", process.take_lines())
        job = _with_progress(job, self._run.progress)
        if is_running:
            return job
        result = self._run.result()
        if process.exit_code == 0 and result:
            return _with_result(job, result, now)
        return await self._unless_promoted(job, self._without_result(job, process, now), now)

    async def close(self) -> None:
        """Ends the run."""
        if self._run:
            await self._run.close()

    async def _unless_promoted(self, job: Job, otherwise: Job, now: datetime) -> Job:
        """The job as succeeded if its model was promoted before the training ended without a result; else `otherwise`."""
        try:
            version = await self._registry(job.model).of_job(job.id)
        except InvalidArtifact:
            return otherwise
        except RegistryUnavailable:
            # A run that was cancelled while it registered may have promoted its model: ask again.
            is_undecided = job.state is JobState.CANCELLING and job.stage == STAGES["register"]
            return job if is_undecided and not self._policy.has_timed_out(job, now) else otherwise
        return job.complete_training(_promoted_result(version), now) if version and version.was_promoted else otherwise

    def _without_result(self, job: Job, process: ChildProcess, now: datetime) -> Job:
        """The job after a run that has left no result."""
        if process.exit_code == os.EX_TEMPFAIL:
            # The result of the ETL stands, so that nothing is lost by waiting.
            postponed = self._policy.postpone(job, Failure("ENGINE_UNAVAILABLE", process.last_line), now)
            return self._policy.stop(postponed._replace(state=job.state), now) if self._policy.must_stop(job, now) else postponed
        if self._policy.must_stop(job, now):
            return self._policy.stop(job, now)
        if process.exit_code not in range(_FIRST_SIGNAL_CODE):
            failure = Failure("APPLICATION_FAILED", "the training process was killed, out of memory or as its worker lost the lease")
            return self._policy.retry(job, failure, now)
        error = self._log.redact(process.last_error_line or process.last_line or f"exit code {process.exit_code}")
        return job.fail(Failure("APPLICATION_FAILED", f"the training failed: {error}"), now)


def uptime() -> float:
    """Seconds since the machine was started; goes on while a process is paused."""
    return float(_UPTIME.read_text().split()[0])


def _write_lease(file: Path, end: float) -> None:
    fresh = file.with_suffix(".fresh")
    fresh.write_text(f"{end:.2f}\n")
    fresh.replace(file)


def _with_progress(job: Job, file: ProgressFile) -> Job:
    """The job in the stage that was reported last."""
    for message in file.take_messages():
        stage = message.stage.removesuffix(f"_{job.model}")
        if stage in STAGES:
            job = job._replace(stage=STAGES[stage], done_count=list(STAGES).index(stage))
    return job


def _promoted_result(version: ModelVersion) -> Mapping[str, Any]:
    return {"model_version": version.number, "promoted": True, "run_id": version.run_id, "metrics": version.provenance.metrics}


def _with_result(job: Job, registration: Mapping[str, Any], now: datetime) -> Job:
    """The job after a run that has registered a model."""
    provenance = registration["provenance"]
    result = {
        "model_version": registration["version"],
        "promoted": registration["promoted"],
        "run_id": registration["run_id"],
        "metrics": provenance["metrics"],
        "awaits_promotion": registration.get("awaits_promotion", False),
    }
    if registration["promoted"] or result["awaits_promotion"]:
        return job.complete_training(result, now)
    failed = [check for check in provenance["gate"]["checks"] if not check["passed"]]
    reasons = "; ".join(f"{check['name']}: {check['measured']:.4f}, required {check['required']:.4f}" for check in failed)
    message = f"version {registration['version']} did not pass the gate: {reasons or 'it was not checked'}"
    return job.reject_model(result, message, now)
