"""HTTP requests on the contracts' paths as RPCs; all others go to the app inside."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress

import grpc
import structlog
from opentelemetry.trace import SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway import errors
from gateway.asgi import AsgiApp, HttpResponse, Receive, Scope, Send
from gateway.body import ClientDisconnected
from gateway.contract import Contract
from gateway.disconnects import DisconnectWatch
from gateway.endpoint import Endpoint
from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.malformed import MalformedRequest
from gateway.metrics import request_metrics
from gateway.routes import Routes
from gateway.streams import TimeLimits, collect_request_stream, send_response_stream
from mesh import telemetry
from mesh.client_address import Networks

_FORM = "application/x-www-form-urlencoded"

log = structlog.get_logger()


class Transcoder:
    """The outermost ASGI app, so that nothing but the work of one call stands between a request and its service."""

    def __init__(
        self,
        app: AsgiApp,
        contract: Contract,
        channels: Mapping[str, grpc.aio.Channel],
        limits: TimeLimits,
        trusted_proxies: Networks = (),
    ) -> None:
        self._app = app
        self._routes = Routes(contract.bindings)
        self._endpoints = {
            binding: Endpoint(binding, contract, channels[binding.method.service.full_name]) for binding in contract.bindings
        }
        self._limits = limits
        self._watch = DisconnectWatch()
        self._metrics = request_metrics()
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
                self._metrics.record(binding.rule, exchange.status, time.perf_counter() - began)
            if exchange.status >= 500:
                log.error("server error", rule=binding.rule, status=exchange.status)
        else:
            await self._serve_unbound(exchange, path, scope, receive)
        if exchange.body.unread:
            await exchange.body.linger()

    async def _serve_unbound(self, exchange: Exchange, path: str, scope: Scope, receive: Receive) -> None:
        """A request that no binding serves."""
        with suppress(ClientDisconnected):
            await exchange.body.discard()
            try:
                exchange.check_headers()
            except MalformedRequest as error:
                await exchange.send(errors.error_response(errors.malformed_status(error)))
                return
            if allowed := self._routes.allowed_methods(path):
                await exchange.send(_other_method(exchange.method, allowed))
            else:
                # HEAD of a page is its GET without the body, which the exchange leaves out.
                scope["method"] = "GET" if exchange.method == "HEAD" else exchange.method
                await self._app(scope, receive, exchange.send_event)

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
            exchange.check_headers()
            if endpoint.server_streaming:
                await send_response_stream(exchange, endpoint, await _request(exchange, endpoint, segments), self._limits)
            elif endpoint.client_streaming:
                await exchange.send(endpoint.response(await collect_request_stream(exchange, endpoint, segments, self._limits)))
            else:
                await exchange.send(endpoint.response(await self._call(exchange, endpoint, await _request(exchange, endpoint, segments))))
        except ClientDisconnected:
            return
        except (MalformedRequest, GatewayError, grpc.aio.AioRpcError) as error:
            await exchange.send(endpoint.error_response(errors.status_of(error, endpoint.service)))
        except Exception:
            log.exception("internal error", rule=endpoint.binding.rule)
            if exchange.status:
                raise
            await exchange.send(endpoint.error_response(errors.internal_status()))

    async def _call(self, exchange: Exchange, endpoint: Endpoint, request: bytes) -> bytes:
        timeout = exchange.timeout()
        call = endpoint.rpc(request, timeout=self._limits.deadline if timeout is None else timeout, metadata=exchange.metadata())
        self._watch.begin(call, exchange)
        try:
            raw: bytes = await call
        except asyncio.CancelledError:
            if exchange.disconnected:
                raise ClientDisconnected from None
            raise
        finally:
            self._watch.end(call)
        return raw


async def _request(exchange: Exchange, endpoint: Endpoint, segments: list[str]) -> bytes:
    """The request of an RPC that takes one. Raises MalformedRequest, GatewayError and ClientDisconnected."""
    if not endpoint.binding.body:
        await exchange.body.discard()
        return endpoint.request(segments, exchange.query, b"", exchange.header(b"idempotency-key"))
    content_type = exchange.header(b"content-type").lower()
    is_form = content_type.startswith(_FORM)
    if content_type.startswith("multipart/") or (is_form and not endpoint.is_token):
        await exchange.body.discard()
        message = "this path accepts JSON" + (" and URL-encoded forms" if endpoint.is_token else "")
        raise GatewayError(errors.error_status(grpc.StatusCode.INVALID_ARGUMENT, "UNSUPPORTED_MEDIA_TYPE", message))
    body = await exchange.body.read()
    if endpoint.is_token:
        return endpoint.token_request(body, is_form, exchange.header(b"authorization"))
    return endpoint.request(segments, exchange.query, body, exchange.header(b"idempotency-key"))


def _other_method(method: str, allowed: set[str]) -> HttpResponse:
    """The response to a method that a path does not have, or to OPTIONS."""
    if "GET" in allowed:
        allowed = allowed | {"HEAD"}
    allow = (b"allow", ", ".join(sorted(allowed | {"OPTIONS"})).encode())
    if method == "OPTIONS":
        return HttpResponse(204, [allow], b"")
    response = errors.error_response(errors.method_not_allowed(method))
    return response._replace(headers=[*response.headers, allow])
