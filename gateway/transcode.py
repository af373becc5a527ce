"""HTTP requests on the contracts' paths as RPCs; everything else goes to the app inside."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network

import grpc
import structlog
from google.rpc.status_pb2 import Status
from opentelemetry.trace import SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway import errors
from gateway.contract import Contract
from gateway.endpoint import Endpoint
from gateway.errors import Answer, refusal
from gateway.exchange import AsgiApp, Exchange, HungUp, Receive, Refused, Scope, Send, Watch
from gateway.metrics import metrics
from gateway.reader import Malformed
from gateway.routes import Routes
from gateway.streams import Limits, answer_stream, collect_stream
from mesh import telemetry

log = structlog.get_logger()


class Transcoder:
    """The outermost ASGI app. Between a request on a contract's path and its service stands nothing but the work of one call."""

    def __init__(
        self,
        app: AsgiApp,
        contract: Contract,
        channels: Mapping[str, grpc.aio.Channel],
        limits: Limits,
        trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = (),
    ) -> None:
        self._app = app
        self._routes = Routes(contract.bindings)
        self._endpoints = {
            binding: Endpoint(binding, contract, channels[binding.method.service.full_name]) for binding in contract.bindings
        }
        self._limits = limits
        self._watch = Watch()
        self._metrics = metrics()
        self._tracer = telemetry.tracer()
        self._trusted_proxies = trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["raw_path"].decode("latin-1")
        exchange = Exchange(scope, receive, send, self._trusted_proxies)
        telemetry.enter(exchange.origin)
        if found := self._routes.find("GET" if exchange.method == "HEAD" else exchange.method, path):
            binding, segments = found
            endpoint = self._endpoints[binding]
            began = time.perf_counter()
            if self._tracer:
                await self._serve_traced(exchange, endpoint, segments, self._tracer)
            else:
                await self._serve(exchange, endpoint, segments)
            if self._metrics:
                self._metrics.answered(binding.rule, exchange.status, time.perf_counter() - began)
            if exchange.status >= 500:
                log.error("answered with a fault", rule=binding.rule, status=exchange.status)
        else:
            with suppress(HungUp):
                await exchange.discard_body()
                if allowed := self._routes.allowed(path):
                    await exchange.send(_other_method(exchange.method, allowed))
                else:
                    # A page for GET is one for HEAD, whose body is dropped on the way out.
                    scope["method"] = "GET" if exchange.method == "HEAD" else exchange.method
                    await self._app(scope, receive, exchange.send_with_request_id)
        if exchange.has_unread_body:
            await exchange.linger()

    async def _serve_traced(self, exchange: Exchange, endpoint: Endpoint, segments: list[str], tracer: Tracer) -> None:
        propagator = TraceContextTextMapPropagator()
        context = propagator.extract({telemetry.TRACEPARENT: exchange.origin.traceparent})
        with tracer.start_as_current_span(endpoint.binding.rule, context, SpanKind.SERVER) as span:
            outgoing: dict[str, str] = {}
            propagator.inject(outgoing)
            exchange.origin = exchange.origin._replace(traceparent=outgoing[telemetry.TRACEPARENT])
            telemetry.enter(exchange.origin)
            await self._serve(exchange, endpoint, segments)
            span.set_attribute("http.response.status_code", exchange.status)

    async def _serve(self, exchange: Exchange, endpoint: Endpoint, segments: list[str]) -> None:
        try:
            if endpoint.answers_stream:
                await answer_stream(exchange, endpoint, await _request(exchange, endpoint, segments), self._limits)
            elif endpoint.takes_stream:
                await exchange.send(endpoint.answer(await collect_stream(exchange, endpoint, segments, self._limits)))
            else:
                await exchange.send(endpoint.answer(await self._call(exchange, endpoint, await _request(exchange, endpoint, segments))))
        except HungUp:
            return
        except (Malformed, Refused, grpc.aio.AioRpcError) as error:
            await exchange.send(endpoint.refusal(_status(error, endpoint)))
        except Exception:
            log.exception("could not serve a request", rule=endpoint.binding.rule)
            if exchange.status:
                raise
            await exchange.send(endpoint.refusal(errors.internal()))

    async def _call(self, exchange: Exchange, endpoint: Endpoint, request: bytes) -> bytes:
        timeout = exchange.timeout()
        call = endpoint.rpc(request, timeout=self._limits.deadline if timeout is None else timeout, metadata=exchange.metadata())
        self._watch.begin(call, exchange)
        try:
            raw: bytes = await call
        except asyncio.CancelledError:
            if exchange.hung_up:
                raise HungUp from None
            raise
        finally:
            self._watch.end(call)
        return raw


async def _request(exchange: Exchange, endpoint: Endpoint, segments: list[str]) -> bytes:
    if not endpoint.binding.body:
        await exchange.discard_body()
        return endpoint.request(segments, exchange.query, b"", exchange.header(b"idempotency-key"))
    content_type = exchange.header(b"content-type").lower()
    is_form = content_type.startswith("application/x-www-form-urlencoded")
    if content_type.startswith("multipart/") or (is_form and not endpoint.is_token):
        await exchange.discard_body()
        message = f"this path takes JSON{', or a form that is URL-encoded' if endpoint.is_token else ''}"
        raise Refused(refusal(grpc.StatusCode.INVALID_ARGUMENT, "UNSUPPORTED_MEDIA_TYPE", message))
    body = await exchange.body()
    if endpoint.is_token:
        return endpoint.token_request(body, is_form, exchange.header(b"authorization"))
    return endpoint.request(segments, exchange.query, body, exchange.header(b"idempotency-key"))


def _status(error: Malformed | Refused | grpc.aio.AioRpcError, endpoint: Endpoint) -> Status:
    if isinstance(error, Malformed):
        return errors.malformed(error)
    return error.status if isinstance(error, Refused) else errors.refused_by(error, endpoint.service)


def _other_method(method: str, allowed: set[str]) -> Answer:
    if "GET" in allowed:
        allowed = allowed | {"HEAD"}
    allow = (b"allow", ", ".join(sorted(allowed | {"OPTIONS"})).encode())
    if method == "OPTIONS":
        return Answer(204, [allow], b"")
    status = refusal(grpc.StatusCode.UNIMPLEMENTED, "METHOD_NOT_ALLOWED", f"this path does not take {method}")
    answer = errors.answer(status)
    return answer._replace(headers=[*answer.headers, allow])
