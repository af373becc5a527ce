"""A caller who keeps schedules."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, update

from hashiramart.jobs.v1 import jobs_pb2, schedules_pb2
from hashiramart.jobs.v1.schedules_pb2 import Schedule
from hashiramart.jobs.v1.schedules_pb2_grpc import ScheduleServiceStub
from services.jobs.schedule_repository import ScheduleRepository
from services.jobs.tables import schedules
from tests.loops import Loop
from tests.services.jobs.replica import TIME_ZONE, JobsReplica
from tests.services.jobs.staff import Staff

LONDON = ZoneInfo(TIME_ZONE)
ETL = jobs_pb2.EtlSpec()
YEARLY = "30 3 1 1 *"


class Planner:
    """Keeps schedules as staff, and lets their time come."""

    def __init__(self, loop: Loop, replica: JobsReplica, stub: ScheduleServiceStub, staff: Staff) -> None:
        self._loop = loop
        self._database = replica.database
        self._stub = stub
        self._staff = staff
        self.repository = ScheduleRepository(replica.database, LONDON)

    def create(self, id: str = "", cron: str = YEARLY, request_id: str = "", **fields: Any) -> Schedule:
        spec = {} if "training_spec" in fields else {"etl_spec": ETL}
        request = schedules_pb2.CreateScheduleRequest(schedule=Schedule(id=id, cron=cron, **(spec | fields)), request_id=request_id)
        return self._stub.CreateSchedule(request, metadata=self._staff.metadata, timeout=10)

    def update(self, id: str, mask: tuple[str, ...] = (), request_id: str = "", **fields: Any) -> Schedule:
        request = schedules_pb2.UpdateScheduleRequest(schedule=Schedule(id=id, **fields), request_id=request_id)
        request.update_mask.paths.extend(mask)
        return self._stub.UpdateSchedule(request, metadata=self._staff.metadata, timeout=10)

    def get(self, id: str) -> Schedule:
        return self._stub.GetSchedule(schedules_pb2.GetScheduleRequest(id=id), metadata=self._staff.metadata, timeout=10)

    def delete(self, id: str, etag: str = "") -> None:
        self._stub.DeleteSchedule(schedules_pb2.DeleteScheduleRequest(id=id, etag=etag), metadata=self._staff.metadata, timeout=10)

    def run(self, id: str, request_id: str = "") -> jobs_pb2.Job:
        request = schedules_pb2.RunScheduleRequest(id=id, request_id=request_id)
        return self._stub.RunSchedule(request, metadata=self._staff.metadata, timeout=10)

    def page(self, **fields: Any) -> schedules_pb2.ListSchedulesResponse:
        return self._stub.ListSchedules(schedules_pb2.ListSchedulesRequest(**fields), metadata=self._staff.metadata, timeout=10)

    def make_due(self, id: str, ago: timedelta = timedelta(0)) -> None:
        """A run that was due then, as if the clock had moved on."""
        self._loop.run(self._set_due(id, ago))

    def tick(self) -> None:
        """What each replica does every other second."""
        self._loop.run(self.repository.submit_due())

    def jobs(self, id: str) -> list[jobs_pb2.Job]:
        return list(self._staff.page(schedule_id=id).jobs)

    def look(self, firing_count: int | None) -> None:
        """What each replica does every minute, while so many alarms are on; None if the forecaster cannot be reached."""

        async def count_firing() -> int | None:
            return firing_count

        self._loop.run(self.repository.check_alarms(count_firing))

    def let_pass(self, id: str, time: timedelta) -> None:
        """Time passes since the latest job and the latest look at the alarms."""
        columns = ("last_submission_time", "last_check_time")
        statement = update(schedules).where(schedules.c.id == id).values({name: schedules.c[name] - time for name in columns})
        self._loop.run(self._database.execute(statement))

    async def _set_due(self, id: str, ago: timedelta) -> None:
        statement = update(schedules).where(schedules.c.id == id).values(next_run_time=func.now() - ago)
        await self._database.execute(statement)
