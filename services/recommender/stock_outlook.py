"""What the forecaster expects of the stock, as moves of products in lists."""

from collections.abc import Mapping
from typing import Final

import grpc.aio
import pyarrow as pa
import pyarrow.parquet as pq

from hashiramart.forecaster.v1 import forecaster_pb2, reorder_pb2, reorder_pb2_grpc
from services.recommender.arrangement import Arrangement, Move, combine_moves

# No rule of the shop can have such an id.
SELLS_OUT: Final = "forecast:sells-out"
OVERSTOCKED: Final = "forecast:overstocked"
# A product sells out if that is more likely than not before an order of today arrives.
_MIN_STOCKOUT_PROBABILITY = 0.5
# A stock that lasts longer lies too long.
_MAX_COVER_DAYS = 120
_HELD_BACK, _BOOSTED = Move(1 / 4, SELLS_OUT), Move(1.5, OVERSTOCKED)
_TIMEOUT_SECONDS = 30


class StockOutlook:
    """Holds back what will sell out before it can be reordered, and boosts what lies too long.

    Before the forecaster was reached, and without one, nothing moves. While it cannot be reached, products move as they did.
    """

    def __init__(self) -> None:
        self._moves: Mapping[str, Move] = {}

    async def read(self, forecaster: grpc.aio.Channel) -> None:
        """Reads what to reorder. Raises `grpc.aio.AioRpcError`."""
        reorder = reorder_pb2_grpc.ReorderServiceStub(forecaster)
        request = reorder_pb2.ExportReorderSuggestionsRequest(format=forecaster_pb2.EXPORT_FORMAT_PARQUET)
        pieces = [piece.content async for piece in reorder.ExportReorderSuggestions(request, timeout=_TIMEOUT_SECONDS)]
        # In this thread alone, as in `lake.reading.read_parquet`.
        file = pq.ParquetFile(pa.BufferReader(b"".join(pieces)))
        products = file.read(["product_id", "stockout_probability", "cover_days", "stock"], use_threads=False).to_pylist()
        held_back = {each["product_id"]: _HELD_BACK for each in products if each["stockout_probability"] >= _MIN_STOCKOUT_PROBABILITY}
        overstocked = {each["product_id"]: _BOOSTED for each in products if each["stock"] and each["cover_days"] > _MAX_COVER_DAYS}
        self._moves = overstocked | held_back

    def applied_to(self, arrangement: Arrangement) -> Arrangement:
        """The arrangement with these moves beside those of rules."""
        if not self._moves:
            return arrangement
        moves = dict(self._moves)
        for id, move in arrangement.product_moves.items():
            moves[id] = combine_moves([move, moves[id]]) if id in moves else move
        return arrangement._replace(product_moves=moves)
