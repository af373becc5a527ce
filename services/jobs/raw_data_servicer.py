"""The RPCs on raw files, rejected lines and the quality of the data."""

from collections.abc import AsyncIterator, Mapping
from datetime import date

import grpc.aio
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from hashiramart.jobs.v1 import jobs_pb2, raw_data_pb2, raw_data_pb2_grpc
from lake.landing.mapping import InvalidMapping, parse_mapping
from lake.landing.mapping import Mapping as ColumnMapping
from lake.manifest import SourceFile
from lake.quality import QualityWarning
from mesh.errors import InvalidArgument
from mesh.identity import caller
from mesh.paging import PageTokens, page_size
from mesh.timestamps import timestamp
from services.jobs.clean_data import CleanData, LineFilter, Reject, RejectPlace
from services.jobs.raw_files import LandedFile, RawFiles, upload_name

Context = grpc.aio.ServicerContext[Message, Message]


class RawDataServicer(raw_data_pb2_grpc.RawDataServiceServicer):
    """Lands and deletes raw files, and reports on what the ETL has made of them."""

    def __init__(self, files: RawFiles, data: CleanData, page_tokens: PageTokens, time_zone: str) -> None:
        """time_zone: of the days of sales, an IANA name"""
        self._files = files
        self._data = data
        self._page_tokens = page_tokens
        self._time_zone = time_zone

    async def ListRawFiles(self, request: raw_data_pb2.ListRawFilesRequest, context: Context) -> raw_data_pb2.ListRawFilesResponse:
        place, size = self._page_tokens.read(request), page_size(request.page_size)
        found = await self._files.list_files(str(place[0]) if place else "", size + 1)
        page, sources = found[:size], await self._sources()
        return raw_data_pb2.ListRawFilesResponse(
            raw_files=(_file_message(file, sources.get(file.sha256)) for file in page),
            next_page_token=self._page_tokens.write(request, (page[-1].folder,)) if len(found) > size else "",
        )

    async def DeleteRawFile(self, request: raw_data_pb2.DeleteRawFileRequest, context: Context) -> Empty:
        await self._files.delete(request.id)
        return Empty()

    async def UploadRawFile(self, request: raw_data_pb2.UploadRawFileRequest, context: Context) -> raw_data_pb2.UploadRawFileResponse:
        mapping = _parse_mapping(request.mapping) if request.last else None
        upload = upload_name(caller().subject, request.upload_id)
        byte_count = await self._files.store_part(upload, request.offset, request.content)
        if not request.last:
            return raw_data_pb2.UploadRawFileResponse(byte_count=byte_count)
        landed = await self._files.land(upload, request.name, mapping, validate_only=request.validate_only)
        return raw_data_pb2.UploadRawFileResponse(
            byte_count=byte_count, message=landed.message, columns=landed.columns, line_count=landed.line_count
        )

    async def ListRejectedLines(
        self, request: raw_data_pb2.ListRejectedLinesRequest, context: Context
    ) -> raw_data_pb2.ListRejectedLinesResponse:
        place, size = self._page_tokens.read(request), page_size(request.page_size)
        after = RejectPlace(str(place[0]), int(str(place[1]))) if place else RejectPlace("", -1)
        found = await self._data.list_rejects(_line_filter(request.file, request.reason, request.date), after, size + 1)
        page = found[:size]
        return raw_data_pb2.ListRejectedLinesResponse(
            rejected_lines=map(_reject_message, page),
            next_page_token=self._page_tokens.write(request, page[-1].place) if len(found) > size else "",
            time_zone=self._time_zone,
        )

    async def ExportRejectedLines(
        self, request: raw_data_pb2.ExportRejectedLinesRequest, context: Context
    ) -> AsyncIterator[raw_data_pb2.CsvPiece]:
        async for text in self._data.export_rejects(_line_filter(request.file, request.reason, request.date)):
            yield raw_data_pb2.CsvPiece(text=text)

    async def GetDataQuality(self, request: raw_data_pb2.GetDataQualityRequest, context: Context) -> raw_data_pb2.DataQuality:
        manifest = await self._data.published_manifest()
        warnings = manifest.warnings()
        return raw_data_pb2.DataQuality(
            data_hash=manifest.dataset().sha256,
            job_id=manifest.job_id,
            time_zone=self._time_zone,
            months=(
                raw_data_pb2.MonthQuality(
                    month=month.month,
                    **month.figures.model_dump(exclude={"category_lines", "country_lines"}),
                    findings=(_finding(warning) for warning in warnings if warning.month == month.month),
                )
                for month in manifest.months
                if month.figures is not None
            ),
        )

    async def _sources(self) -> Mapping[str, SourceFile]:
        """The files that the published data is made of, by SHA-256."""
        manifest = await self._data.manifest()
        return {} if manifest is None else {file.sha256: file for file in manifest.raw_files}


def _file_message(file: LandedFile, source: SourceFile | None) -> raw_data_pb2.RawFile:
    return raw_data_pb2.RawFile(
        id=file.id,
        name=file.name,
        sha256=file.sha256,
        description=file.description,
        line_count=file.line_count,
        create_time=timestamp(file.create_time),
        published=source is not None,
        rejects=(jobs_pb2.RejectCount(reason=reason, line_count=count) for reason, count in (source.refused if source else {}).items()),
    )


def _reject_message(reject: Reject) -> raw_data_pb2.RejectedLine:
    return raw_data_pb2.RejectedLine(
        file=reject.file,
        line_number=reject.line_number,
        reason=reject.reason,
        line=reject.line,
        date=str(reject.date) if reject.date else "",
    )


def _finding(warning: QualityWarning) -> raw_data_pb2.QualityFinding:
    return raw_data_pb2.QualityFinding(measure=warning.measure, value=warning.value, baseline=warning.baseline, limit=warning.limit)


def _line_filter(file: str, reason: str, day: str) -> LineFilter:
    """Raises `InvalidArgument` for a day that does not exist. The contract checks its format."""
    try:
        if day:
            date.fromisoformat(day)
    except ValueError:
        raise InvalidArgument("the date {date} does not exist", field="date", date=day) from None
    return LineFilter(file, reason, day)


def _parse_mapping(text: str) -> ColumnMapping | None:
    """Raises `InvalidArgument` for a text that is no mapping."""
    try:
        return parse_mapping(text, "the mapping") if text.strip() else None
    except InvalidMapping as error:
        raise InvalidArgument("{fault}", field="mapping", reason="RAW_FILE_INVALID", fault=error) from error
