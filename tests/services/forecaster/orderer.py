"""A client of reordering."""

from typing import Any

from hashiramart.forecaster.v1 import reorder_pb2
from hashiramart.forecaster.v1.reorder_pb2_grpc import ReorderServiceStub


class Orderer:
    """Reorders as one user."""

    def __init__(self, stub: ReorderServiceStub, metadata: tuple[tuple[str, str], ...]) -> None:
        self._stub = stub
        self._metadata = metadata

    def policies(self, **fields: Any) -> reorder_pb2.ListReorderPoliciesResponse:
        return self._stub.ListReorderPolicies(reorder_pb2.ListReorderPoliciesRequest(**fields), metadata=self._metadata, timeout=10)

    def set_policy(self, product_id: str = "default", mask: tuple[str, ...] = (), **fields: Any) -> reorder_pb2.ReorderPolicy:
        request = reorder_pb2.UpdateReorderPolicyRequest(policy=reorder_pb2.ReorderPolicy(product_id=product_id, **fields))
        request.update_mask.paths.extend(mask)
        return self._stub.UpdateReorderPolicy(request, metadata=self._metadata, timeout=10)

    def delete_policy(self, product_id: str, etag: str = "") -> reorder_pb2.ReorderPolicy:
        request = reorder_pb2.DeleteReorderPolicyRequest(product_id=product_id, etag=etag)
        return self._stub.DeleteReorderPolicy(request, metadata=self._metadata, timeout=10)

    def suggestions(self, **fields: Any) -> reorder_pb2.ListReorderSuggestionsResponse:
        return self._stub.ListReorderSuggestions(reorder_pb2.ListReorderSuggestionsRequest(**fields), metadata=self._metadata, timeout=20)

    def export(self, **fields: Any) -> bytes:
        """The exported file."""
        request = reorder_pb2.ExportReorderSuggestionsRequest(**fields)
        return b"".join(piece.content for piece in self._stub.ExportReorderSuggestions(request, metadata=self._metadata, timeout=20))

    def backtest(self, **fields: Any) -> reorder_pb2.ReorderBacktest:
        return self._stub.GetReorderBacktest(reorder_pb2.GetReorderBacktestRequest(**fields), metadata=self._metadata, timeout=30)
