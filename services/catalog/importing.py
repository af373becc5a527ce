"""The import of a file of products, row by row."""

from collections.abc import AsyncIterable

from google.rpc import error_details_pb2, status_pb2

from hashiramart.catalog.v1 import catalog_pb2
from mesh.errors import FieldViolation, OutOfRange
from mesh.interceptors.validation import violations
from services.catalog.domain import Details
from services.catalog.messages import details
from services.catalog.repository import ProductRepository


class Import:
    """One file that is being taken in."""

    def __init__(self, products: ProductRepository, currency: str) -> None:
        self._products = products
        self._currency = currency
        self._report = catalog_pb2.ImportProductsResponse()
        # Rows that wait to be written together.
        self._rows: dict[str, Details] = {}
        # What this file has created or changed: a further row for one of these is no further product that was.
        self._written: set[str] = set()
        self._listed_bytes = 0

    async def take(self, rows: AsyncIterable[catalog_pb2.ImportProductsRequest]) -> catalog_pb2.ImportProductsResponse:
        """Takes in all rows, and reports. Raises `OutOfRange` if there are too many, after those that are not."""
        async for row in rows:
            if self._report.row_count == _MAX_ROWS:
                await self._write()
                raise OutOfRange("IMPORT_TOO_LONG", f"a file may have {_MAX_ROWS:,} rows; those before were taken in")
            self._report.row_count += 1
            self._add(row)
            if len(self._rows) == _BATCH:
                await self._write()
        await self._write()
        report = self._report
        report.unchanged_count = report.row_count - report.created_count - report.updated_count - report.failed_count
        return report

    def _add(self, row: catalog_pb2.ImportProductsRequest) -> None:
        product = row.product
        if row.HasField("unreadable"):
            self._fail("", *_why(row.unreadable))
        elif violation := _violation(product):
            self._fail(product.id, violation.field, "INVALID_REQUEST", violation.description)
        else:
            self._rows[product.id] = details(product, self._currency)

    def _fail(self, id: str, field: str, reason: str, message: str) -> None:
        report = self._report
        report.failed_count += 1
        failure = catalog_pb2.RowFailure(
            row=report.row_count, product_id=id[:_MAX_ID], field=field, reason=reason, message=message[:_MAX_MESSAGE]
        )
        self._listed_bytes += failure.ByteSize()
        if self._listed_bytes <= _MAX_LISTED_BYTES:
            report.failures.append(failure)

    async def _write(self) -> None:
        if not self._rows:
            return
        created, updated = await self._products.take_in(self._rows)
        self._report.created_count += len(created)
        self._report.updated_count += sum(id not in self._written for id in updated)
        self._written.update(created, updated)
        self._rows.clear()


_BATCH = 1000
_MAX_ROWS = 100_000
# A client of gRPC takes answers of up to 4 MiB unless it is told otherwise.
_MAX_LISTED_BYTES = 3_500_000
_MAX_ID = 64
_MAX_MESSAGE = 500


def _violation(product: catalog_pb2.Product) -> FieldViolation | None:
    for field in ("id", "name"):
        if not getattr(product, field):
            return FieldViolation(field, f"{field} must not be empty")
    return next(iter(violations(product)), None)


def _why(unreadable: status_pb2.Status) -> tuple[str, str, str]:
    """The field at fault, the reason and the message."""
    reason, violation = "MALFORMED_REQUEST", FieldViolation("", unreadable.message)
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in unreadable.details:
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(bad_request) and bad_request.field_violations:
            first = bad_request.field_violations[0]
            # To whoever wrote the file, a row is the product itself.
            violation = FieldViolation(first.field.removeprefix("product."), first.description)
    return violation.field, reason, violation.description
