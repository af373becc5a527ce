"""A client of the forecaster."""

from typing import Any

from hashiramart.forecaster.v1 import forecaster_pb2
from hashiramart.forecaster.v1.forecaster_pb2_grpc import ForecasterServiceStub


class Planner:
    """Calls the forecaster as one user."""

    def __init__(self, stub: ForecasterServiceStub, metadata: tuple[tuple[str, str], ...]) -> None:
        self._stub = stub
        self._metadata = metadata

    def series(self, **fields: Any) -> forecaster_pb2.ListForecastSeriesResponse:
        return self._stub.ListForecastSeries(forecaster_pb2.ListForecastSeriesRequest(**fields), metadata=self._metadata, timeout=10)

    def forecast(self, **fields: Any) -> forecaster_pb2.ForecastSalesResponse:
        return self._stub.ForecastSales(forecaster_pb2.ForecastSalesRequest(**fields), metadata=self._metadata, timeout=10)

    def batch(self, **fields: Any) -> list[forecaster_pb2.BatchForecastSalesResponse]:
        return [*self._stub.BatchForecastSales(forecaster_pb2.BatchForecastSalesRequest(**fields), metadata=self._metadata, timeout=60)]

    def export(self, **fields: Any) -> bytes:
        """The exported file."""
        pieces = self._stub.ExportForecasts(forecaster_pb2.ExportForecastsRequest(**fields), metadata=self._metadata, timeout=60)
        return b"".join(piece.content for piece in pieces)

    def explain(self, **fields: Any) -> forecaster_pb2.ExplainForecastResponse:
        return self._stub.ExplainForecast(forecaster_pb2.ExplainForecastRequest(**fields), metadata=self._metadata, timeout=10)

    def backtest(self, **fields: Any) -> forecaster_pb2.Backtest:
        return self._stub.GetBacktest(forecaster_pb2.GetBacktestRequest(**fields), metadata=self._metadata, timeout=10)

    def means(self, **fields: Any) -> list[float]:
        """The means of the forecast, period by period."""
        return [point.mean for point in self.forecast(**fields).points]
