"""Imports a file of products row by row."""

from collections.abc import AsyncIterable

from google.rpc import error_details_pb2, status_pb2

from hashiramart.catalog.v1 import catalog_pb2
from mesh.errors import FieldViolation, OutOfRange, UnsupportedCurrency
from mesh.interceptors.validation import violations
from services.catalog.domain import ProductDetails
from services.catalog.messages import product_details
from services.catalog.repository.products import ProductRepository

_BATCH_SIZE = 1000
_MAX_ROWS = 100_000
# By default, a gRPC client accepts messages of up to 4 MiB.
_MAX_LISTED_BYTES = 3_500_000
_MAX_ID_LENGTH = 64
_MAX_MESSAGE_LENGTH = 500


class ProductImport:
    """The import of one file."""

    def __init__(self, products: ProductRepository, currency: str) -> None:
        self._products = products
        self._currency = currency
        self._report = catalog_pb2.ImportProductsResponse()
        self._batch: dict[str, ProductDetails] = {}
        # The ids that this file has created or updated: another row for one of them does not count as another product.
        self._written: set[str] = set()
        self._listed_bytes = 0
        self._validate_only = False

    async def run(self, rows: AsyncIterable[catalog_pb2.ImportProductsRequest]) -> catalog_pb2.ImportProductsResponse:
        """Imports all rows, or only validates them, and reports on them.

        Raises `OutOfRange` if there are too many, after importing those up to the limit.
        """
        async for row in rows:
            if self._report.row_count == _MAX_ROWS:
                await self._write_batch()
                raise OutOfRange("IMPORT_TOO_LONG", "a file may have {limit:,} rows; only those were read", limit=_MAX_ROWS)
            self._report.row_count += 1
            if self._report.row_count == 1:
                self._validate_only = row.validate_only
            self._add(row)
            if len(self._batch) == _BATCH_SIZE:
                await self._write_batch()
        await self._write_batch()
        report = self._report
        report.unchanged_count = report.row_count - report.created_count - report.updated_count - report.failed_count
        return report

    def _add(self, row: catalog_pb2.ImportProductsRequest) -> None:
        product = row.product
        if row.HasField("unreadable"):
            self._fail("", *_failure_of(row.unreadable))
        elif violation := _first_violation(product):
            self._fail(product.id, violation.field, "INVALID_REQUEST", violation.description)
        else:
            try:
                self._batch[product.id] = product_details(product, self._currency)
            except UnsupportedCurrency as error:
                self._fail(product.id, "currency_code", error.reason, error.message)

    def _fail(self, id: str, field: str, reason: str, message: str) -> None:
        report = self._report
        report.failed_count += 1
        failure = catalog_pb2.RowFailure(
            row=report.row_count,
            product_id=id[:_MAX_ID_LENGTH],
            field=field,
            reason=reason,
            message=message[:_MAX_MESSAGE_LENGTH],
        )
        self._listed_bytes += failure.ByteSize()
        if self._listed_bytes <= _MAX_LISTED_BYTES:
            report.failures.append(failure)

    async def _write_batch(self) -> None:
        if not self._batch:
            return
        write = self._products.compare if self._validate_only else self._products.upsert
        created, updated = await write(self._batch)
        self._report.created_count += sum(id not in self._written for id in created)
        self._report.updated_count += sum(id not in self._written for id in updated)
        self._written.update(created, updated)
        self._batch.clear()


def _first_violation(product: catalog_pb2.Product) -> FieldViolation | None:
    for field in ("id", "name"):
        if not getattr(product, field):
            return FieldViolation(field, f"{field} must not be empty")
    return next(iter(violations(product)), None)


def _failure_of(unreadable: status_pb2.Status) -> tuple[str, str, str]:
    """The field at fault, the reason and the message."""
    reason, violation = "MALFORMED_REQUEST", FieldViolation("", unreadable.message)
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in unreadable.details:
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(bad_request) and bad_request.field_violations:
            first = bad_request.field_violations[0]
            # In a file, a row is the product itself.
            violation = FieldViolation(first.field.removeprefix("product."), first.description)
    return violation.field, reason, violation.description
