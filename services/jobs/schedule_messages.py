"""Converts between schedules and the contract's messages."""

from hashiramart.jobs.v1 import jobs_pb2, schedules_pb2
from mesh.errors import InvalidArgument
from mesh.timestamps import timestamp, write_timestamp
from services.jobs.domain import JobKind
from services.jobs.messages import job_state, training_names, training_spec_message
from services.jobs.schedules import AlarmOutcome, CatchUp, RunOutcome, Schedule, ScheduleDetails

_CATCH_UPS = {catch_up: schedules_pb2.CatchUp.Value(f"CATCH_UP_{catch_up.name}") for catch_up in CatchUp}
_OUTCOMES = {outcome: schedules_pb2.ScheduleRunOutcome.Value(f"SCHEDULE_RUN_OUTCOME_{outcome.name}") for outcome in RunOutcome}
_CHECK_OUTCOMES = {outcome: schedules_pb2.AlarmCheckOutcome.Value(f"ALARM_CHECK_OUTCOME_{outcome.name}") for outcome in AlarmOutcome}


def schedule_message(schedule: Schedule) -> schedules_pb2.Schedule:
    message = schedules_pb2.Schedule(
        id=schedule.id,
        name=schedule.name,
        through_yesterday=schedule.through_yesterday,
        cron=schedule.cron,
        time_zone=schedule.time_zone,
        catch_up=_CATCH_UPS[schedule.catch_up],
        paused=schedule.paused,
        next_run_time=timestamp(schedule.next_run_time) if schedule.next_run_time else None,
        last_job_id=schedule.last_job_id,
        created_by=schedule.created_by,
        create_time=timestamp(schedule.create_time),
        update_time=timestamp(schedule.update_time),
        etag=schedule.etag,
    )
    if schedule.kind is JobKind.TRAINING:
        message.training_spec.CopyFrom(training_spec_message(schedule.model, schedule.recipe, through_date=""))
    else:
        message.etl_spec.CopyFrom(jobs_pb2.EtlSpec(full=schedule.full))
    if schedule.last_job_state:
        message.last_job_state = job_state(schedule.last_job_state)
    if schedule.last_run_time and schedule.last_outcome:
        message.last_run.outcome = _OUTCOMES[schedule.last_outcome]
        message.last_run.by_alarm = schedule.last_by_alarm
        write_timestamp(schedule.last_run_time, message.last_run.create_time)
        if schedule.last_due_time:
            write_timestamp(schedule.last_due_time, message.last_run.due_time)
    if schedule.alarm_interval_days is not None:
        message.alarm_trigger.min_interval_days = schedule.alarm_interval_days
        if schedule.last_check_time and schedule.last_check_outcome:
            write_timestamp(schedule.last_check_time, message.last_alarm_check.check_time)
            message.last_alarm_check.outcome = _CHECK_OUTCOMES[schedule.last_check_outcome]
            message.last_alarm_check.firing_count = schedule.last_firing_count
    return message


def schedule_details(message: schedules_pb2.Schedule, default_zone: str) -> ScheduleDetails:
    """The editable fields of a schedule. default_zone: an IANA name. Raises `InvalidArgument` if one is missing."""
    kind, model, recipe = _work(message)
    return ScheduleDetails(
        name=message.name,
        kind=kind,
        model=model,
        recipe=recipe,
        full=message.etl_spec.full,
        through_yesterday=message.through_yesterday,
        cron=message.cron,
        time_zone=message.time_zone or default_zone,
        catch_up=next((name for name, value in _CATCH_UPS.items() if value == message.catch_up), CatchUp.RUN_ONCE),
        paused=message.paused,
        alarm_interval_days=message.alarm_trigger.min_interval_days if message.HasField("alarm_trigger") else None,
    )


def _work(message: schedules_pb2.Schedule) -> tuple[JobKind, str, str]:
    """The kind of job, the model and the recipe."""
    spec = message.WhichOneof("spec")
    if spec is None:
        raise InvalidArgument("a schedule has an etl_spec or a training_spec", field="schedule.etl_spec")
    if (message.etl_spec if spec == "etl_spec" else message.training_spec).through_date:
        hint = "the jobs of a schedule have no fixed last day; through_yesterday has them include the day before"
        raise InvalidArgument(hint, field=f"schedule.{spec}.through_date")
    if spec == "etl_spec":
        return JobKind.ETL, "", ""
    model, recipe = training_names(message.training_spec)
    if not model:
        raise InvalidArgument("a training has a model", field="schedule.training_spec.model")
    return JobKind.TRAINING, model, recipe
