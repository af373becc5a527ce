"""The alarms of the forecasts that were served, which the forecaster knows."""

import grpc.aio
import structlog

from hashiramart.forecaster.v1 import accuracy_pb2, accuracy_pb2_grpc

_TIMEOUT_SECONDS = 10

_log = structlog.get_logger(__name__)


class ForecastAlarms:
    """Asks the forecaster for its alarms."""

    def __init__(self, forecaster: grpc.aio.Channel) -> None:
        self._stub = accuracy_pb2_grpc.ForecastAccuracyServiceStub(forecaster)

    async def count_firing(self) -> int | None:
        """How many alarms are on, or None if the forecaster cannot be asked."""
        try:
            accuracy = await self._stub.GetForecastAccuracy(accuracy_pb2.GetForecastAccuracyRequest(), timeout=_TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            _log.warning("the forecaster cannot be asked for alarms", code=error.code().name, message=error.details())
            return None
        return sum(alarm.state == accuracy_pb2.FORECAST_ALARM_STATE_FIRING for alarm in accuracy.alarms)
