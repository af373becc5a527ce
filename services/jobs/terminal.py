"""Submits a job from a terminal and shows how it goes: `python -m services.jobs.terminal --help` says how."""

import argparse
import asyncio
import getpass
import sys
from collections.abc import AsyncIterator

import grpc.aio

from hashiramart.auth.v1 import auth_pb2, auth_pb2_grpc
from hashiramart.jobs.v1 import jobs_pb2, jobs_pb2_grpc
from mesh import channel
from mesh.ids import new_id
from mesh.settings import MeshSettings, read
from services.jobs.settings import Settings

Metadata = tuple[tuple[str, str], ...]


class Terminal:
    """Calls the jobs service as a member of the staff."""

    def __init__(self, auth: grpc.aio.Channel, jobs: grpc.aio.Channel, email: str, password: str) -> None:
        self._auth = auth_pb2_grpc.AuthServiceStub(auth)
        self._jobs = jobs_pb2_grpc.JobsServiceStub(jobs)
        self._sign_in = auth_pb2.IssueTokenRequest(grant_type="password", username=email, password=password)

    async def clean(self, through_date: str, full: bool) -> jobs_pb2.Job:
        """A new ETL job."""
        request = jobs_pb2.SubmitEtlJobRequest(through_date=through_date, full=full, request_id=new_id())
        return await self._jobs.SubmitEtlJob(request, metadata=await self._proof())

    async def train(self, model: str, recipe: str, through_date: str) -> jobs_pb2.Job:
        """A new training job."""
        request = jobs_pb2.SubmitTrainingJobRequest(model=model, recipe=recipe, through_date=through_date, request_id=new_id())
        return await self._jobs.SubmitTrainingJob(request, metadata=await self._proof())

    async def follow(self, id: str) -> AsyncIterator[jobs_pb2.Job]:
        """The job with each of its changes, to its end, however often the service goes away in between."""
        number = 0
        while True:
            try:
                request = jobs_pb2.WatchJobRequest(id=id, after_log_line=number)
                async for event in self._jobs.WatchJob(request, metadata=await self._proof()):
                    number = max(number, event.log_line.number)
                    if event.HasField("job"):
                        yield event.job
                return
            except grpc.aio.AioRpcError as error:
                if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                    raise
            await asyncio.sleep(_RETRY_SECONDS)

    async def _proof(self) -> Metadata:
        # A job may outlive a token, so each call has its own.
        token = await self._auth.IssueToken(self._sign_in)
        return (("authorization", f"Bearer {token.access_token}"),)


def told(job: jobs_pb2.Job) -> str:
    """How far the job has come, in a line."""
    if job.state == jobs_pb2.JOB_STATE_QUEUED:
        return f"waits: {job.failure.message}" if job.HasField("failure") else "waits for its turn"
    done, total = job.progress.done_count, job.progress.total_count
    filled = _BAR * done // total if total else 0
    return f"[{'#' * filled}{'.' * (_BAR - filled)}] {job.stage or 'starting'}{f', {done} of {total} done' if total else ''}"


def outcome(job: jobs_pb2.Job) -> str:
    """How the job ended, in a sentence."""
    etl = job.etl
    match job.state:
        case jobs_pb2.JOB_STATE_SUCCEEDED | jobs_pb2.JOB_STATE_SUCCEEDED_WITH_REJECTS:
            refused = sum(reject.line_count for reject in etl.rejects)
            lines = f"{etl.row_count:,} lines: {etl.sale_count:,} sales, {etl.duplicate_count:,} duplicates, {refused:,} refused"
            new = "published" if etl.published else "nothing new"
            promoted = f" Version {job.training.model_version} of the {job.model} is the champion." if job.training.promoted else ""
            return f"Clean data from {etl.first_date} to {etl.through_date}, {new}. {lines}.{promoted}"
        case jobs_pb2.JOB_STATE_CANCELLED:
            return "The job was cancelled."
    return f"The job failed ({job.failure.reason}): {job.failure.message}"


async def main(arguments: argparse.Namespace) -> int:
    """Runs a job to its end; the exit code says how that was."""
    settings, mesh = read(Settings), read(MeshSettings)
    password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    auth = channel.connect(mesh.auth_address, auth_pb2.DESCRIPTOR.services_by_name["AuthService"], mesh)
    jobs = channel.connect(settings.listen, jobs_pb2.DESCRIPTOR.services_by_name["JobsService"], mesh)
    async with auth, jobs:
        terminal = Terminal(auth, jobs, arguments.email, password)
        if arguments.train:
            job = await terminal.train(arguments.train, arguments.recipe, arguments.through_date)
        else:
            job = await terminal.clean(arguments.through_date, arguments.full)
        print(f"Job {job.id}. It goes on if you leave.", file=sys.stderr)
        shown = ""
        async for current in terminal.follow(job.id):
            job = current
            if (line := told(job)) != shown and not job.HasField("end_time"):
                shown = line
                print(
                    f"\r\033[K{line}" if sys.stderr.isatty() else line, end="" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True
                )
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    print(outcome(job))
    return 0 if job.state in (jobs_pb2.JOB_STATE_SUCCEEDED, jobs_pb2.JOB_STATE_SUCCEEDED_WITH_REJECTS) else 1


def arguments_of(command_line: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m services.jobs.terminal",
        description="Cleans the raw data, then trains a model if told so, as a member of the staff whose password is asked for or read "
        "from standard input. Runs in the environment of the jobs service, whose settings it reads.",
    )
    parser.add_argument("--email", required=True)
    parser.add_argument("--through-date", default="", metavar="YYYY-MM-DD", help="take recorded events in up to this day")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--full", action="store_true", help="clean every month anew, not only those that new files touch")
    kinds.add_argument("--train", choices=("recommender", "forecaster"), help="train this model on the clean data")
    parser.add_argument("--recipe", choices=("quick", "full"), default="full", help="how a model is trained")
    return parser.parse_args(command_line)


_BAR = 30
_RETRY_SECONDS = 1

if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main(arguments_of(sys.argv[1:]))))
    except grpc.aio.AioRpcError as error:
        sys.exit(f"{(error.details() or error.code().name)}")
    except KeyboardInterrupt:
        sys.exit("\nThe job goes on without you.")
