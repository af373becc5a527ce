"""Submits a job from a terminal and shows its progress: see `python -m services.jobs.terminal --help`."""

import argparse
import asyncio
import getpass
import sys
from collections.abc import AsyncIterator

import grpc.aio

from hashiramart.auth.v1 import auth_pb2, auth_pb2_grpc
from hashiramart.jobs.v1 import jobs_pb2, jobs_pb2_grpc
from hashiramart.model.v1 import model_pb2
from mesh import channel
from mesh.ids import new_id
from mesh.settings import MeshSettings, read
from services.jobs.settings import Settings

Metadata = tuple[tuple[str, str], ...]

BAR_WIDTH = 30
RETRY_SECONDS = 1
SUCCEEDED = (jobs_pb2.JOB_STATE_SUCCEEDED, jobs_pb2.JOB_STATE_SUCCEEDED_WITH_REJECTS)

_CLEAR_LINE = "\r\033[K"
_MODEL_PREFIX = "MODEL_KIND_"


class StaffClient:
    """Calls the jobs service as a member of staff."""

    def __init__(self, auth: grpc.aio.Channel, jobs: grpc.aio.Channel, email: str, password: str) -> None:
        self._auth = auth_pb2_grpc.AuthServiceStub(auth)
        self._jobs = jobs_pb2_grpc.JobsServiceStub(jobs)
        self._sign_in = auth_pb2.IssueTokenRequest(grant_type="password", username=email, password=password)

    async def submit_etl(self, through_date: str, full: bool) -> jobs_pb2.Job:
        request = jobs_pb2.SubmitEtlJobRequest(through_date=through_date, full=full, request_id=new_id())
        return await self._jobs.SubmitEtlJob(request, metadata=await self._metadata())

    async def submit_training(self, model: str, recipe: str, through_date: str) -> jobs_pb2.Job:
        request = jobs_pb2.SubmitTrainingJobRequest(
            model=model_pb2.ModelKind.Value(f"{_MODEL_PREFIX}{model.upper()}"),
            recipe=model_pb2.Recipe.Value(f"RECIPE_{recipe.upper()}"),
            through_date=through_date,
            request_id=new_id(),
        )
        return await self._jobs.SubmitTrainingJob(request, metadata=await self._metadata())

    async def follow(self, id: str) -> AsyncIterator[jobs_pb2.Job]:
        """The job after each change, until it has ended. Reconnects whenever the service is unavailable."""
        number = 0
        while True:
            try:
                request = jobs_pb2.WatchJobRequest(id=id, after_number=number)
                async for event in self._jobs.WatchJob(request, metadata=await self._metadata()):
                    number = max(number, event.log_line.number)
                    if event.HasField("job"):
                        yield event.job
                return
            except grpc.aio.AioRpcError as error:
                if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                    raise
            await asyncio.sleep(RETRY_SECONDS)

    async def _metadata(self) -> Metadata:
        # A job may outlive a token, so that each call gets a new one.
        token = await self._auth.IssueToken(self._sign_in)
        return (("authorization", f"Bearer {token.access_token}"),)


def progress_line(job: jobs_pb2.Job) -> str:
    """The progress of a job that has not ended, in one line."""
    if job.state == jobs_pb2.JOB_STATE_QUEUED:
        return f"waiting: {job.failure.message}" if job.HasField("failure") else "queued"
    done, total = job.progress.done_count, job.progress.total_count
    filled = BAR_WIDTH * done // total if total else 0
    return f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {job.stage or 'starting'}{f', {done} of {total} done' if total else ''}"


def outcome(job: jobs_pb2.Job) -> str:
    """How the job ended, in a sentence or two."""
    if job.state == jobs_pb2.JOB_STATE_CANCELLED:
        return "The job was cancelled."
    if job.state not in SUCCEEDED:
        return f"The job failed ({job.failure.reason}): {job.failure.message}"
    etl, training = job.etl_result, job.training_result
    refused = sum(reject.line_count for reject in etl.rejects)
    lines = f"{etl.row_count:,} lines: {etl.sale_count:,} sales, {etl.duplicate_count:,} duplicates, {refused:,} refused"
    new = "published" if etl.published else "nothing new"
    model = model_pb2.ModelKind.Name(job.training_spec.model).removeprefix(_MODEL_PREFIX).lower()
    fate = "is the champion" if training.promoted else "waits for its lists in shadow" if training.awaits_promotion else ""
    promoted = f" Version {training.model_version} of the {model} {fate}." if fate else ""
    return f"Clean data from {etl.first_date} to {etl.through_date}, {new}. {lines}.{promoted}"


async def main(arguments: argparse.Namespace) -> int:
    """Submits a job and follows it to its end; returns the exit code."""
    settings, mesh = read(Settings), read(MeshSettings)
    password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    auth = channel.connect(mesh.auth_address, auth_pb2.DESCRIPTOR.services_by_name["AuthService"], mesh)
    jobs = channel.connect(settings.listen, jobs_pb2.DESCRIPTOR.services_by_name["JobsService"], mesh)
    async with auth, jobs:
        client = StaffClient(auth, jobs, arguments.email, password)
        if arguments.train:
            job = await client.submit_training(arguments.train, arguments.recipe, arguments.through_date)
        else:
            job = await client.submit_etl(arguments.through_date, arguments.full)
        print(f"Job {job.id}. It continues if you leave.", file=sys.stderr)
        job = await _show_progress(client, job)
    print(outcome(job))
    return 0 if job.state in SUCCEEDED else 1


def parse_arguments(command_line: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m services.jobs.terminal",
        description="Cleans the raw data, and with --train trains a model on it, as a member of staff, whose password is prompted for or "
        "read from standard input. Uses the environment of the jobs service.",
    )
    parser.add_argument("--email", required=True)
    parser.add_argument("--through-date", default="", metavar="YYYY-MM-DD", help="include recorded events up to this day")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--full", action="store_true", help="clean every month, not only those that new files affect")
    kinds.add_argument("--train", choices=("recommender", "forecaster"), help="train this model on the clean data")
    parser.add_argument("--recipe", choices=("quick", "full"), default="full", help="the recipe to train by")
    return parser.parse_args(command_line)


async def _show_progress(client: StaffClient, submitted: jobs_pb2.Job) -> jobs_pb2.Job:
    """Shows the job's progress on standard error; returns the job as it ended."""
    is_terminal = sys.stderr.isatty()
    job, shown = submitted, ""
    async for current in client.follow(submitted.id):
        job, line = current, progress_line(current)
        if line != shown and not job.HasField("end_time"):
            shown = line
            print(f"{_CLEAR_LINE}{line}" if is_terminal else line, end="" if is_terminal else "\n", file=sys.stderr, flush=True)
    if is_terminal:
        print(_CLEAR_LINE, end="", file=sys.stderr)
    return job


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main(parse_arguments(sys.argv[1:]))))
    except grpc.aio.AioRpcError as error:
        sys.exit(f"{(error.details() or error.code().name)}")
    except KeyboardInterrupt:
        sys.exit("\nThe job continues.")
