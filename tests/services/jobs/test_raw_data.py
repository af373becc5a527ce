"""Raw files over the API, the lines that were rejected of them, and the quality of the data."""

import csv
import io
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from uuid import uuid4

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from minio.credentials.providers import StaticProvider

from hashiramart.jobs.v1 import raw_data_pb2, raw_data_pb2_grpc
from lake.bucket import Bucket, connect
from lake.manifest import Content, Counts, DataFile, Events, Manifest, Month, SourceFile
from lake.publishing import publish, read_publication
from lake.quality import MonthFigures
from lake.schemas import SCHEMA_VERSION
from mesh.identity import Role
from mesh.paging import PageTokens
from mesh.server import Server
from services.jobs.clean_data import CleanData
from services.jobs.raw_data_servicer import RawDataServicer
from services.jobs.raw_files import RawFiles
from tests.callers import Issuer
from tests.engines.hadoop import Hdfs
from tests.engines.stores import SeaweedFS
from tests.services.errors import error_of

HEADER = b"Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n"
LINE = b"500001,10001,JAR,1,2011-01-03 10:00:00,2.5,12345,France\n"
LIMIT = 100_000
FIGURES = MonthFigures(
    lines_per_day=100,
    reject_share=0.02,
    missing_customer_share=0.2,
    median_price=2.5,
    basket_size=10,
    new_product_share=None,
    category_lines={"Lights": 1},
    country_lines={"France": 1},
)


@pytest.fixture(scope="module")
def bucket(seaweedfs: SeaweedFS) -> Bucket:
    """The bucket of the clean data, as Spark writes it."""
    return connect(seaweedfs.store.endpoint, seaweedfs.store.region, "lake", StaticProvider(*seaweedfs.store.keys["spark"]))


@pytest.fixture(scope="module")
def grpc_servicer(hdfs: Hdfs, seaweedfs: SeaweedFS, bucket: Bucket) -> RawDataServicer:
    reader = connect(seaweedfs.store.endpoint, seaweedfs.store.region, "lake", StaticProvider(*seaweedfs.store.keys["training"]))
    files = RawFiles(f"webhdfs://hashiramart@127.0.0.1:{hdfs.settings.namenode_port}/hashiramart/raw", LIMIT)
    return RawDataServicer(files, CleanData(reader), PageTokens(b"the same for all replicas, and long enough"), "Europe/London")


@pytest.fixture(scope="module")
def grpc_checks() -> list[object]:
    return []


@pytest.fixture(scope="module")
def grpc_add_to_server() -> Callable[[raw_data_pb2_grpc.RawDataServiceServicer, Server], None]:
    return raw_data_pb2_grpc.add_RawDataServiceServicer_to_server


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[raw_data_pb2_grpc.RawDataServiceStub]:
    return raw_data_pb2_grpc.RawDataServiceStub


class Clerk:
    """Calls the service as staff."""

    def __init__(self, stub: raw_data_pb2_grpc.RawDataServiceStub, issuer: Issuer) -> None:
        self._stub = stub
        self.metadata = issuer.metadata(Role.STAFF, "ann")

    def upload(
        self, content: bytes, name: str = "sales.csv", *, size: int = LIMIT, mapping: str = ""
    ) -> raw_data_pb2.UploadRawFileResponse:
        """Uploads a file in parts of a size."""
        upload_id, offset = uuid4().hex, 0
        while True:
            part, last = content[offset : offset + size], offset + size >= len(content)
            response = self.send(upload_id, offset, part, name=name, last=last, mapping=mapping)
            offset = response.byte_count
            if last:
                return response

    def send(self, upload_id: str, offset: int, content: bytes, **fields: object) -> raw_data_pb2.UploadRawFileResponse:
        request = raw_data_pb2.UploadRawFileRequest(upload_id=upload_id, offset=offset, content=content)
        request.name = "sales.csv"
        for field, value in fields.items():
            setattr(request, field, value)
        return self._stub.UploadRawFile(request, metadata=self.metadata)

    def files(self, page_size: int = 100) -> list[raw_data_pb2.RawFile]:
        """All raw files, by pages."""
        listed: list[raw_data_pb2.RawFile] = []
        token = ""
        while True:
            page = self._stub.ListRawFiles(raw_data_pb2.ListRawFilesRequest(page_size=page_size, page_token=token), metadata=self.metadata)
            listed += page.raw_files
            if not (token := page.next_page_token):
                return listed

    def delete(self, id: str) -> None:
        self._stub.DeleteRawFile(raw_data_pb2.DeleteRawFileRequest(id=id), metadata=self.metadata)

    def rejects(self, page_size: int = 100, **filters: str) -> list[raw_data_pb2.RejectedLine]:
        """The rejected lines, by pages."""
        listed: list[raw_data_pb2.RejectedLine] = []
        token = ""
        while True:
            request = raw_data_pb2.ListRejectedLinesRequest(page_size=page_size, page_token=token, **filters)
            page = self._stub.ListRejectedLines(request, metadata=self.metadata)
            assert page.time_zone == "Europe/London"
            listed += page.rejected_lines
            if not (token := page.next_page_token):
                return listed

    def export(self, **filters: str) -> str:
        pieces = self._stub.ExportRejectedLines(raw_data_pb2.ExportRejectedLinesRequest(**filters), metadata=self.metadata)
        return "".join(piece.text for piece in pieces)

    def quality(self) -> raw_data_pb2.DataQuality:
        return self._stub.GetDataQuality(raw_data_pb2.GetDataQualityRequest(), metadata=self.metadata)


@pytest.fixture(scope="module")
def staff(grpc_stub: raw_data_pb2_grpc.RawDataServiceStub, issuer: Issuer) -> Clerk:
    return Clerk(grpc_stub, issuer)


@pytest.fixture
def empty(staff: Clerk) -> Iterator[None]:
    """An empty raw zone, also afterwards."""
    yield
    for file in staff.files():
        staff.delete(file.id)


@pytest.mark.usefixtures("empty")
def test_an_uploaded_file_is_landed_once_and_can_be_deleted(staff: Clerk) -> None:
    landed = staff.upload(HEADER + LINE, size=20)
    assert (landed.byte_count, landed.line_count, landed.columns[0]) == (len(HEADER + LINE), 1, "Invoice")
    assert landed.message.startswith("sales.csv is in ")
    assert "was landed before" in staff.upload(HEADER + LINE, "again.csv").message
    [file] = staff.files()
    assert (file.name, file.line_count, file.published) == ("sales.csv", 1, False)
    assert file.description == "comma, UTF-8, dates year first"
    assert abs(file.create_time.ToDatetime(UTC) - datetime.now(UTC)).total_seconds() < 300
    for _ in range(2):
        staff.delete(file.id)
        assert staff.files() == []


@pytest.mark.usefixtures("empty")
def test_a_dry_run_lands_nothing_and_the_upload_can_be_completed(staff: Clerk) -> None:
    content = "Datum;Bon;Artikel;Menge;Preis\n14.01.2011;1;A1;2;2,50\n".encode("cp1252")
    own = "invoice: Bon, product: Artikel, quantity: Menge, time: Datum, price: Preis"
    mapping = f"columns: {{{own}, description: null, customer: null, country: null}}"
    described = staff.send("dry", 0, content, last=True, mapping=mapping, validate_only=True)
    assert described.message.startswith("sales.csv would be read as semicolon, UTF-8, dates day first, decimal comma, without Description")
    assert (list(described.columns), described.line_count) == (["Invoice", "StockCode", "Quantity", "InvoiceDate", "Price"], 1)
    assert staff.files() == []
    assert "is in" in staff.send("dry", len(content), b"", last=True, mapping=mapping).message
    assert len(staff.files()) == 1


@pytest.mark.usefixtures("empty")
def test_an_interrupted_upload_continues_where_it_was(staff: Clerk) -> None:
    staff.send("cut", 0, HEADER)
    error = error_of(lambda: staff.send("cut", 3, b"x"))
    assert (error.code, error.reason, error.metadata["byte_count"]) == (
        grpc.StatusCode.OUT_OF_RANGE,
        "UPLOAD_INTERRUPTED",
        str(len(HEADER)),
    )
    assert staff.send("cut", len(HEADER), LINE).byte_count == len(HEADER + LINE)
    # A part whose response was lost is sent again; the last one too, when the file has landed.
    landed = staff.send("cut", len(HEADER), LINE, last=True)
    assert landed.line_count == 1
    assert staff.send("cut", len(HEADER), LINE, last=True) == landed
    assert "was landed before" in staff.send("cut", 0, HEADER + LINE, last=True).message


@pytest.mark.parametrize(
    ("content", "mapping", "field", "message"),
    [
        (b"a,b\n1,2\n", "", "content", "sales.csv is no CSV file of sales"),
        (HEADER, "", "content", "sales.csv is empty below its header."),
        (HEADER + LINE, "columns: [", "mapping", "the mapping, line 1 is not YAML."),
        (HEADER + LINE, "rules: {product: '['}", "mapping", "the mapping is no mapping: rules.product"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_field(staff: Clerk, content: bytes, mapping: str, field: str, message: str) -> None:
    error = error_of(lambda: staff.upload(content, mapping=mapping))
    assert (error.code, error.reason, error.fields) == (grpc.StatusCode.INVALID_ARGUMENT, "RAW_FILE_INVALID", [field])
    assert error.message.startswith(message)
    assert staff.files() == []


def test_a_file_that_is_too_large_is_refused(staff: Clerk) -> None:
    assert error_of(lambda: staff.send("large", LIMIT - 1, b"xx"))[:2] == (grpc.StatusCode.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE")


def test_before_the_first_etl_there_is_no_clean_data(staff: Clerk, bucket: Bucket) -> None:
    assert read_publication(bucket) is None
    assert error_of(staff.quality)[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "NO_CLEAN_DATA")


REJECTS: list[tuple[object, ...]] = [
    ("a.csv", 2, "price", "one, two", date(2011, 1, 3)),
    ("a.csv", 3, "quantity", 'a "quoted" line', date(2011, 1, 4)),
    ("b.csv", 2, "price", "another", date(2011, 1, 4)),
    ("b.csv", 9, "date", "later", None),
]


@pytest.fixture(scope="module")
def published(bucket: Bucket) -> Manifest:
    """Four months of data, of which the last differs, with rejects in two files of the store."""
    names = ["2011-01", "2011-02", "2011-03", "2011-04"]
    tables = {
        "2011-01": write_rejects(bucket, "2011-01", REJECTS[:2], REJECTS[2:3]),
        "2011-04": write_rejects(bucket, "2011-04", REJECTS[3:]),
    }
    months = tuple(
        Month(
            month=name,
            counts=Counts(),
            days=None,
            tables={"rejects": tables[name]} if name in tables else {},
            figures=FIGURES.model_copy(update={"median_price": 250}) if name == names[-1] else FIGURES,
        )
        for name in names
    )
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        run_id="20261128T100000-aa",
        job_id="job-1",
        code_commit="",
        create_time=datetime(2026, 11, 28, 10, tzinfo=UTC),
        raw_files=(SourceFile(name="a.csv", sha256="0" * 64, line_count=1, refused={"price": 1}, months=(), extra_columns=()),),
        events=Events(),
        counts=Counts(),
        first_date=date(2011, 1, 3),
        through_date=date(2011, 4, 4),
        months=months,
        products=Content(row_count=0, sha256="", files=()),
    )
    publish(bucket, manifest, None)
    return manifest


def write_rejects(bucket: Bucket, month: str, *files: list[tuple[object, ...]]) -> Content:
    written = []
    for number, rows in enumerate(files):
        columns = dict(zip(("file", "number", "reason", "line", "date"), map(list, zip(*rows, strict=True)), strict=True))
        types = {"number": pa.int64(), "date": pa.date32()}
        table = pa.table({name: pa.array(values, types.get(name, pa.string())) for name, values in columns.items()})
        content = io.BytesIO()
        pq.write_table(table, content)
        key = f"quarantine/sales/run=20261128T100000-aa/month={month}/part-{number}.parquet"
        bucket.write(key, content.getvalue())
        written.append(DataFile(key=key, byte_count=len(content.getvalue())))
    return Content(row_count=sum(map(len, files)), sha256="", files=tuple(written))


def in_short(lines: list[raw_data_pb2.RejectedLine]) -> list[tuple[object, ...]]:
    return [(line.file, line.line_number, line.reason, line.line, date.fromisoformat(line.date) if line.date else None) for line in lines]


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize(
    ("filters", "places"),
    [
        ({}, [0, 1, 2, 3]),
        ({"file": "a.csv"}, [0, 1]),
        ({"reason": "price"}, [0, 2]),
        ({"date": "2011-01-04"}, [1, 2]),
        ({"date": "2011-01-04", "reason": "price"}, [2]),
        ({"file": "c.csv"}, []),
    ],
)
def test_rejected_lines_are_listed_by_pages_and_exported_as_csv(staff: Clerk, filters: dict[str, str], places: list[int]) -> None:
    expected = [REJECTS[place] for place in places]
    for page_size in (1, 2, 100):
        assert in_short(staff.rejects(page_size, **filters)) == expected
    header, *rows = csv.reader(io.StringIO(staff.export(**filters), newline=""))
    assert header == ["file", "line_number", "reason", "line", "date"]
    assert rows == [[str(value or "") for value in row] for row in expected]


@pytest.mark.usefixtures("published")
def test_a_day_that_does_not_exist_is_refused(staff: Clerk) -> None:
    error = error_of(lambda: staff.rejects(date="2011-02-30"))
    assert (error.code, error.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["date"])


def test_the_quality_of_each_month_is_reported(staff: Clerk, published: Manifest) -> None:
    quality = staff.quality()
    assert quality.time_zone == "Europe/London"
    assert (quality.job_id, quality.data_hash) == ("job-1", published.dataset().sha256)
    assert [(month.month, month.median_price, len(month.findings)) for month in quality.months][2:] == [
        ("2011-03", 2.5, 0),
        ("2011-04", 250, 1),
    ]
    [finding] = quality.months[3].findings
    assert (finding.measure, finding.value, finding.baseline) == ("median_price", 250, 2.5)
    assert not quality.months[0].HasField("new_product_share")


def test_a_customer_may_not(grpc_stub: raw_data_pb2_grpc.RawDataServiceStub, issuer: Issuer) -> None:
    metadata = issuer.metadata(Role.CUSTOMER, "bob")
    error = error_of(lambda: grpc_stub.GetDataQuality(raw_data_pb2.GetDataQualityRequest(), metadata=metadata))
    assert error.code is grpc.StatusCode.PERMISSION_DENIED


def test_while_hdfs_is_away_the_caller_is_asked_to_retry(staff: Clerk, hdfs: Hdfs) -> None:
    with hdfs.namenode_stopped():
        error = error_of(staff.files)
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")
