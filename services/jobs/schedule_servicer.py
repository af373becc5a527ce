"""The RPCs of schedules."""

import grpc.aio
from google.protobuf.empty_pb2 import Empty
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from hashiramart.jobs.v1 import jobs_pb2, schedules_pb2, schedules_pb2_grpc
from mesh.field_masks import check_fixed_fields, masked_fields
from mesh.idempotency import idempotent_request
from mesh.identity import caller
from mesh.ids import new_id
from mesh.paging import PageTokens, page_size
from services.jobs.messages import job_message
from services.jobs.schedule_messages import schedule_details, schedule_message
from services.jobs.schedule_repository import ScheduleRepository
from services.jobs.schedules import Schedule, ScheduleDetails

Context = grpc.aio.ServicerContext[Message, Message]


class ScheduleServicer(schedules_pb2_grpc.ScheduleServiceServicer):
    """Manages schedules."""

    def __init__(self, schedules: ScheduleRepository, page_tokens: PageTokens, time_zone: str) -> None:
        """time_zone: the shop's, an IANA name"""
        self._schedules = schedules
        self._page_tokens = page_tokens
        self._time_zone = time_zone

    async def ListSchedules(self, request: schedules_pb2.ListSchedulesRequest, context: Context) -> schedules_pb2.ListSchedulesResponse:
        place, size = self._page_tokens.read(request), page_size(request.page_size)
        found = await self._schedules.page(str(place[0]) if place else "", size + 1)
        page = found[:size]
        return schedules_pb2.ListSchedulesResponse(
            schedules=map(schedule_message, page),
            next_page_token=self._page_tokens.write(request, (page[-1].id,)) if len(found) > size else "",
        )

    async def GetSchedule(self, request: schedules_pb2.GetScheduleRequest, context: Context) -> schedules_pb2.Schedule:
        return schedule_message(await self._schedules.get(request.id))

    async def CreateSchedule(self, request: schedules_pb2.CreateScheduleRequest, context: Context) -> schedules_pb2.Schedule:
        details = schedule_details(request.schedule, self._time_zone)
        id = request.schedule.id or new_id()
        return schedule_message(await self._schedules.create(id, details, caller().subject, idempotent_request(request)))

    async def UpdateSchedule(self, request: schedules_pb2.UpdateScheduleRequest, context: Context) -> schedules_pb2.Schedule:
        sent = request.schedule
        masked = masked_fields(sent, request.update_mask)

        def apply(schedule: Schedule) -> ScheduleDetails:
            schedule.check_etag(sent.etag)
            current = schedule_message(schedule)
            check_fixed_fields("schedule", sent, request.update_mask, current)
            wanted = schedules_pb2.Schedule()
            wanted.CopyFrom(current)
            FieldMask(paths=sorted(masked)).MergeMessage(sent, wanted, replace_message_field=True)
            return schedule_details(wanted, self._time_zone)

        return schedule_message(await self._schedules.update(sent.id, apply, idempotent_request(request)))

    async def DeleteSchedule(self, request: schedules_pb2.DeleteScheduleRequest, context: Context) -> Empty:
        await self._schedules.delete(request.id, request.etag)
        return Empty()

    async def RunSchedule(self, request: schedules_pb2.RunScheduleRequest, context: Context) -> jobs_pb2.Job:
        job = await self._schedules.run(request.id, caller().subject, idempotent_request(request))
        return job_message(job, self._time_zone)
