"""Somebody at the recommender's door."""

from collections.abc import Iterator, Sequence
from typing import Any

from hashiramart.recommender.v1 import recommender_pb2
from hashiramart.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub

Response = recommender_pb2.ListRecommendationsResponse


class Shopper:
    """Calls the recommender as one caller."""

    def __init__(self, stub: RecommenderServiceStub, metadata: tuple[tuple[str, str], ...]) -> None:
        self.stub = stub
        self.metadata = metadata

    def recommendations(self, **arguments: Any) -> Response:
        return self.stub.ListRecommendations(recommender_pb2.ListRecommendationsRequest(**arguments), metadata=self.metadata, timeout=10)

    def of_customer(self, number: str, **arguments: Any) -> Response:
        request = recommender_pb2.ListCustomerRecommendationsRequest(customer_number=number, **arguments)
        return self.stub.ListCustomerRecommendations(request, metadata=self.metadata, timeout=10)

    def similar(self, product_id: str, **arguments: Any) -> Response:
        request = recommender_pb2.ListSimilarProductsRequest(product_id=product_id, **arguments)
        return self.stub.ListSimilarProducts(request, metadata=self.metadata, timeout=10)

    def popular(self, **arguments: Any) -> Response:
        return self.stub.ListPopularProducts(recommender_pb2.ListPopularProductsRequest(**arguments), metadata=self.metadata, timeout=10)

    def purchases(self, number: str, **arguments: Any) -> recommender_pb2.ListCustomerPurchasesResponse:
        request = recommender_pb2.ListCustomerPurchasesRequest(customer_number=number, **arguments)
        return self.stub.ListCustomerPurchases(request, metadata=self.metadata, timeout=10)

    def record(self, *events: recommender_pb2.Event, request_id: str = "") -> tuple[int, int]:
        """How many were new, and how many were not."""
        request = recommender_pb2.RecordEventsRequest(events=events, request_id=request_id)
        answer = self.stub.RecordEvents(request, metadata=self.metadata, timeout=10)
        return answer.recorded_count, answer.duplicate_count

    def views(self, *ids: str) -> None:
        self.record(*(event(recommender_pb2.EVENT_KIND_VIEW, id) for id in ids))

    def buys(self, *ids: str) -> None:
        self.record(*(event(recommender_pb2.EVENT_KIND_PURCHASE, id) for id in ids))

    def events(self, page_token: str = "", page_size: int = 0) -> recommender_pb2.ListEventsResponse:
        request = recommender_pb2.ListEventsRequest(page_token=page_token, page_size=page_size)
        return self.stub.ListEvents(request, metadata=self.metadata, timeout=10)

    def forget(self, user_id: str) -> None:
        self.stub.ForgetUser(recommender_pb2.ForgetUserRequest(user_id=user_id), metadata=self.metadata, timeout=10)

    def pages(self, **arguments: Any) -> Iterator[Response]:
        """What is recommended, page by page."""
        token = ""
        while True:
            page = self.recommendations(**arguments, page_token=token)
            yield page
            if not (token := page.next_page_token):
                return


def event(kind: recommender_pb2.EventKind.ValueType, product_id: str, **fields: Any) -> recommender_pb2.Event:
    return recommender_pb2.Event(kind=kind, product_id=product_id, **fields)


def ids(answer: Response) -> list[str]:
    return [one.product.id for one in answer.recommendations]


def kinds(answer: Response) -> Sequence[str]:
    """The kinds of the reasons."""
    return [recommender_pb2.ReasonKind.Name(one.reason.kind).removeprefix("REASON_KIND_") for one in answer.recommendations]


def step(answer: Response) -> str:
    return recommender_pb2.FallbackStep.Name(answer.fallback_step).removeprefix("FALLBACK_STEP_")
