"""Converts between jobs and the contract's messages."""

from __future__ import annotations

from collections.abc import Collection

from google.protobuf.json_format import ParseDict

from hashiramart.jobs.v1 import jobs_pb2
from hashiramart.model.v1 import model_pb2
from mesh.timestamps import timestamp
from services.jobs.domain import Job, JobKind, JobSpec, JobState, LogLine

_KINDS = {kind: jobs_pb2.JobKind.Value(f"JOB_KIND_{kind.name}") for kind in JobKind}
_STATES = {state: jobs_pb2.JobState.Value(f"JOB_STATE_{state.name}") for state in JobState}
# By their names in the pipeline.
_MODELS = {"recommender": model_pb2.MODEL_KIND_RECOMMENDER, "forecaster": model_pb2.MODEL_KIND_FORECASTER}
_RECIPES = {"quick": model_pb2.RECIPE_QUICK, "full": model_pb2.RECIPE_FULL}
_DEFAULT_RECIPE = "full"


def job_message(job: Job, time_zone: str) -> jobs_pb2.Job:
    """A job. time_zone: of its days, an IANA name"""
    message = jobs_pb2.Job(
        id=job.id,
        state=job_state(job.state),
        stage=job.stage,
        progress=jobs_pb2.Progress(done_count=job.done_count, total_count=job.total_count),
        application_id=job.application_id,
        attempt_count=job.attempt_count,
        submitted_by=job.submitted_by,
        create_time=timestamp(job.create_time),
        start_time=timestamp(job.start_time) if job.start_time else None,
        end_time=timestamp(job.end_time) if job.end_time else None,
        next_attempt_time=timestamp(job.next_attempt_time) if job.next_attempt_time else None,
        time_zone=time_zone,
        schedule_id=job.schedule_id,
        due_time=timestamp(job.due_time) if job.due_time else None,
    )
    if job.kind is JobKind.TRAINING:
        message.training_spec.CopyFrom(training_spec_message(job.model, job.recipe, job.through_date))
    else:
        message.etl_spec.CopyFrom(jobs_pb2.EtlSpec(through_date=job.through_date, full=job.full))
    if job.failure_reason:
        message.failure.reason, message.failure.message = job.failure_reason, job.failure_message
    if job.etl is not None:
        ParseDict(dict(job.etl), message.etl_result, ignore_unknown_fields=True)
    if job.training is not None:
        ParseDict(dict(job.training), message.training_result, ignore_unknown_fields=True)
    return message


def etl_spec(request: jobs_pb2.SubmitEtlJobRequest, submitted_by: str) -> JobSpec:
    return JobSpec(JobKind.ETL, "", "", request.through_date, request.full, submitted_by)


def training_spec(request: jobs_pb2.SubmitTrainingJobRequest, submitted_by: str) -> JobSpec:
    return JobSpec(JobKind.TRAINING, *training_names(request), request.through_date, False, submitted_by)


def training_spec_message(model: str, recipe: str, through_date: str) -> jobs_pb2.TrainingSpec:
    """The spec of a training. model, recipe: their names"""
    return jobs_pb2.TrainingSpec(model=_MODELS[model], recipe=_RECIPES[recipe], through_date=through_date)


def training_names(spec: jobs_pb2.SubmitTrainingJobRequest | jobs_pb2.TrainingSpec) -> tuple[str, str]:
    """The names of the model and the recipe of a training, by default the full one; the model's is empty if it is not specified."""
    model = next((name for name, number in _MODELS.items() if number == spec.model), "")
    return model, next((name for name, number in _RECIPES.items() if number == spec.recipe), _DEFAULT_RECIPE)


def line_message(line: LogLine) -> jobs_pb2.LogLine:
    return jobs_pb2.LogLine(number=line.number, time=timestamp(line.time), source=line.source, text=line.text)


def job_kind(number: jobs_pb2.JobKind.ValueType) -> JobKind | None:
    """The kind of the contract's enum value; None if it is unspecified."""
    return next((kind for kind, value in _KINDS.items() if value == number), None)


def job_state(state: JobState) -> jobs_pb2.JobState.ValueType:
    """The contract's enum value."""
    return _STATES[state]


def job_states(numbers: Collection[jobs_pb2.JobState.ValueType]) -> set[JobState]:
    """The states of the contract's enum values."""
    return {state for state, value in _STATES.items() if value in numbers}
