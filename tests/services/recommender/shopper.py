"""A client of the recommender."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from hashiramart.recommender.v1 import experiments_pb2, merchandising_pb2, recommender_pb2, shadows_pb2
from hashiramart.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub

Response = recommender_pb2.ListRecommendationsResponse
ExposureLog = recommender_pb2.ListExposureLogResponse


class Shopper:
    """Calls the recommender as one user."""

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
        """Returns how many events were recorded, and how many were duplicates."""
        request = recommender_pb2.RecordEventsRequest(events=events, request_id=request_id)
        response = self.stub.RecordEvents(request, metadata=self.metadata, timeout=10)
        return response.recorded_count, response.duplicate_count

    def view(self, *ids: str) -> None:
        self.record(*(event(recommender_pb2.EVENT_KIND_VIEW, id) for id in ids))

    def buy(self, *ids: str) -> None:
        self.record(*(event(recommender_pb2.EVENT_KIND_PURCHASE, id) for id in ids))

    def events(self, after_number: int = 0, page_token: str = "", page_size: int = 0) -> recommender_pb2.ListEventsResponse:
        request = recommender_pb2.ListEventsRequest(after_number=after_number, page_token=page_token, page_size=page_size)
        return self.stub.ListEvents(request, metadata=self.metadata, timeout=10)

    def forget(self, user_id: str) -> None:
        self.stub.ForgetUser(recommender_pb2.ForgetUserRequest(user_id=user_id), metadata=self.metadata, timeout=10)

    def hand_over(self, visitor_id: str, user_id: str, customer_number: str = "") -> None:
        request = recommender_pb2.HandOverVisitorRequest(visitor_id=visitor_id, user_id=user_id, customer_number=customer_number)
        self.stub.HandOverVisitor(request, metadata=self.metadata, timeout=10)

    def exposures(self, **arguments: Any) -> recommender_pb2.ListExposuresResponse:
        return self.stub.ListExposures(recommender_pb2.ListExposuresRequest(**arguments), metadata=self.metadata, timeout=10)

    def exposure_log(self, before: datetime, after_number: int = 0, page_token: str = "", page_size: int = 0) -> ExposureLog:
        request = recommender_pb2.ListExposureLogRequest(after_number=after_number, page_token=page_token, page_size=page_size)
        request.before_time.FromDatetime(before)
        return self.stub.ListExposureLog(request, metadata=self.metadata, timeout=10)

    def write_rule(self, id: str, action: merchandising_pb2.RuleAction.ValueType, **fields: Any) -> merchandising_pb2.Rule:
        request = merchandising_pb2.ReplaceRuleRequest(rule=merchandising_pb2.Rule(id=id, action=action, **fields))
        return self.stub.ReplaceRule(request, metadata=self.metadata, timeout=10)

    def delete_rule(self, id: str) -> None:
        self.stub.DeleteRule(merchandising_pb2.DeleteRuleRequest(id=id), metadata=self.metadata, timeout=10)

    def write_slot(self, id: str, **fields: Any) -> merchandising_pb2.Slot:
        request = merchandising_pb2.ReplaceSlotRequest(slot=merchandising_pb2.Slot(id=id, **fields))
        return self.stub.ReplaceSlot(request, metadata=self.metadata, timeout=10)

    def delete_slot(self, id: str) -> None:
        self.stub.DeleteSlot(merchandising_pb2.DeleteSlotRequest(id=id), metadata=self.metadata, timeout=10)

    def preview(self, **arguments: Any) -> Response:
        request = merchandising_pb2.PreviewRecommendationsRequest(**arguments)
        return self.stub.PreviewRecommendations(request, metadata=self.metadata, timeout=10)

    def write_experiment(self, id: str, **fields: Any) -> experiments_pb2.Experiment:
        request = experiments_pb2.ReplaceExperimentRequest(experiment=experiments_pb2.Experiment(id=id, **fields))
        return self.stub.ReplaceExperiment(request, metadata=self.metadata, timeout=10)

    def experiment(self, id: str) -> experiments_pb2.Experiment:
        return self.stub.GetExperiment(experiments_pb2.GetExperimentRequest(id=id), metadata=self.metadata, timeout=10)

    def start(self, id: str) -> experiments_pb2.Experiment:
        return self.stub.StartExperiment(experiments_pb2.StartExperimentRequest(id=id), metadata=self.metadata, timeout=10)

    def stop(self, id: str) -> experiments_pb2.Experiment:
        return self.stub.StopExperiment(experiments_pb2.StopExperimentRequest(id=id), metadata=self.metadata, timeout=10)

    def conclude(
        self, id: str, decision: experiments_pb2.ExperimentDecision.ValueType, reason: str = "", **fields: Any
    ) -> experiments_pb2.Experiment:
        request = experiments_pb2.ConcludeExperimentRequest(id=id, decision=decision, reason=reason, **fields)
        return self.stub.ConcludeExperiment(request, metadata=self.metadata, timeout=30)

    def delete_experiment(self, id: str) -> None:
        self.stub.DeleteExperiment(experiments_pb2.DeleteExperimentRequest(id=id), metadata=self.metadata, timeout=10)

    def report(self, id: str, **arguments: Any) -> experiments_pb2.ExperimentReport:
        request = experiments_pb2.GetExperimentReportRequest(id=id, **arguments)
        return self.stub.GetExperimentReport(request, metadata=self.metadata, timeout=10)

    def write_shadow(self, id: str, traffic_share: float = 1) -> shadows_pb2.Shadow:
        request = shadows_pb2.ReplaceShadowRequest(shadow=shadows_pb2.Shadow(id=id, traffic_share=traffic_share))
        return self.stub.ReplaceShadow(request, metadata=self.metadata, timeout=10)

    def shadows(self) -> list[str]:
        response = self.stub.ListShadows(shadows_pb2.ListShadowsRequest(), metadata=self.metadata, timeout=10)
        return [shadow.id for shadow in response.shadows]

    def delete_shadow(self, id: str) -> None:
        self.stub.DeleteShadow(shadows_pb2.DeleteShadowRequest(id=id), metadata=self.metadata, timeout=10)

    def shadow_report(self, id: str) -> shadows_pb2.ShadowReport:
        return self.stub.GetShadowReport(shadows_pb2.GetShadowReportRequest(id=id), metadata=self.metadata, timeout=10)

    def pages(self, **arguments: Any) -> Iterator[Response]:
        """The recommendations, page by page."""
        token = ""
        while True:
            page = self.recommendations(**arguments, page_token=token)
            yield page
            if not (token := page.next_page_token):
                return


def event(kind: recommender_pb2.EventKind.ValueType, product_id: str, **fields: Any) -> recommender_pb2.Event:
    return recommender_pb2.Event(kind=kind, product_id=product_id, **fields)


def ids(response: Response) -> list[str]:
    return [each.product.id for each in response.recommendations]


def kinds(response: Response) -> Sequence[str]:
    """The kinds of the reasons."""
    return [recommender_pb2.ReasonKind.Name(each.reason.kind).removeprefix("REASON_KIND_") for each in response.recommendations]


def step(response: Response) -> str:
    return recommender_pb2.FallbackStep.Name(response.fallback_step).removeprefix("FALLBACK_STEP_")
