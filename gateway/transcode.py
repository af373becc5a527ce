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
from gateway.admission import Admission
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
from gateway.tokens import require_token
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
        admission: Admission,
        trusted_proxies: Networks,
    ) -> None:
        self._app = app
        self._routes = Routes(contract.bindings)
        self._endpoints = {
            binding: Endpoint(binding, contract, channels[binding.method.service.full_name]) for binding in contract.bindings
        }
        self._limits = limits
        self._admission = admission
        self._watch = DisconnectWatch()
        self._metrics = request_metrics()
        self._tracer = telemetry.tracer()
        self._trusted_proxies = trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange, busy = Exchange(scope, receive, send, self._trusted_proxies), self._admission.connections.busy
        busy.add(exchange.peer)
        try:
            await self._respond(exchange, scope, receive)
        finally:
            busy.remove(exchange.peer)

    async def _respond(self, exchange: Exchange, scope: Scope, receive: Receive) -> None:
        path: str = scope["raw_path"].decode("latin-1")
        telemetry.enter(exchange.origin)
        if found := self._routes.find("GET" if exchange.method == "HEAD" else exchange.method, path):
            binding, segments, exchange.prefix = found
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
            with self._admission.upload(exchange):
                await exchange.body.linger()

    async def _serve_unbound(self, exchange: Exchange, path: str, scope: Scope, receive: Receive) -> None:
        """A request that no binding serves."""
        with suppress(ClientDisconnected):
            await self._discard(exchange)
            try:
                exchange.check_headers()
            except MalformedRequest as error:
                await exchange.send(errors.error_response(errors.malformed_status(error)))
                return
            if allowed := self._routes.allowed_methods(path):
                await exchange.send(_other_method(exchange.method, path, allowed))
            else:
                # HEAD of a page is its GET without the body, which the exchange leaves out.
                scope["method"] = "GET" if exchange.method == "HEAD" else exchange.method
                # The pages have no version, and are found under each, as everything in the document is.
                scope["root_path"] = self._routes.version_of(path)
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
            self._admission.check(exchange)
            exchange.check_headers()
            if endpoint.needs_token and exchange.body.unread:
                await self._require_token(exchange)
            if endpoint.server_streaming or endpoint.client_streaming:
                with self._admission.stream(exchange):
                    await self._stream(exchange, endpoint, segments)
            else:
                raw = await self._call(exchange, endpoint, await self._request(exchange, endpoint, segments))
                await exchange.send(endpoint.response(raw, exchange.prefix))
            if endpoint.needs_token:
                self._admission.accept(exchange)
        except ClientDisconnected:
            return
        except (MalformedRequest, GatewayError, grpc.aio.AioRpcError) as error:
            await exchange.send(endpoint.error_response(errors.status_of(error, endpoint.service)))
        except Exception:
            log.exception("internal error", rule=endpoint.binding.rule)
            if exchange.status:
                raise
            await exchange.send(endpoint.error_response(errors.internal_status()))
        finally:
            exchange.body.release()

    async def _stream(self, exchange: Exchange, endpoint: Endpoint, segments: list[str]) -> None:
        if endpoint.server_streaming:
            await send_response_stream(exchange, endpoint, await self._request(exchange, endpoint, segments), self._limits)
        else:
            raw = await collect_request_stream(exchange, endpoint, segments, self._limits)
            await exchange.send(endpoint.response(raw, exchange.prefix))

    async def _request(self, exchange: Exchange, endpoint: Endpoint, segments: list[str]) -> bytes:
        """The request of an RPC that takes one. Raises MalformedRequest, GatewayError and ClientDisconnected."""
        if not endpoint.binding.body:
            await self._discard(exchange)
            return endpoint.request(segments, exchange.query, b"", exchange.header(b"idempotency-key"))
        content_type = exchange.header(b"content-type").lower()
        is_form = content_type.startswith(_FORM)
        if not endpoint.takes_any_type and (content_type.startswith("multipart/") or (is_form and not endpoint.is_token)):
            await self._discard(exchange)
            message = "this path accepts JSON" + (" and URL-encoded forms" if endpoint.is_token else "")
            raise GatewayError(errors.error_status(grpc.StatusCode.INVALID_ARGUMENT, "UNSUPPORTED_MEDIA_TYPE", message))
        with self._admission.upload(exchange):
            body = await exchange.body.read(endpoint.max_body, self._admission.bodies)
        if endpoint.is_token:
            return endpoint.token_request(body, is_form, exchange.header(b"authorization"))
        return endpoint.request(segments, exchange.query, body, exchange.header(b"idempotency-key"))

    async def _require_token(self, exchange: Exchange) -> None:
        """Raises GatewayError before the body is read if no service would accept the call."""
        try:
            require_token(exchange.headers.get(b"authorization", b""))
        except GatewayError:
            await self._discard(exchange)
            raise

    async def _discard(self, exchange: Exchange) -> None:
        if exchange.body.unread:
            with self._admission.upload(exchange):
                await exchange.body.discard()

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


def _other_method(method: str, path: str, allowed: set[str]) -> HttpResponse:
    """The response to a method that a path does not have, or to OPTIONS."""
    if "GET" in allowed:
        allowed = allowed | {"HEAD"}
    allow = (b"allow", ", ".join(sorted(allowed | {"OPTIONS"})).encode())
    if method == "OPTIONS":
        return HttpResponse(204, [allow], b"")
    response = errors.error_response(errors.method_not_allowed(method, path))
    return response._replace(headers=[*response.headers, allow])
