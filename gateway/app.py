"""Builds the gateway: the transcoder for the contracts' paths around a FastAPI app for the gateway's own."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib.metadata import version
from typing import Any

import grpc
from fastapi import FastAPI, Request, Response
from fastapi_swagger import patch_fastapi
from starlette.exceptions import HTTPException
from starlette.types import Lifespan

from gateway import console, errors
from gateway.admission import Admission
from gateway.asgi import AsgiApp
from gateway.connections import Connections
from gateway.contract import Contract
from gateway.cors import open_to
from gateway.errors import GatewayError
from gateway.openapi import document
from gateway.rules import Json
from gateway.settings import Settings
from gateway.status import MeshStatus, Services
from gateway.streams import TimeLimits
from gateway.transcode import Transcoder
from mesh.channel import open_channel
from mesh.settings import MeshSettings

_ERROR_CONTENT = {"application/json": {"schema": {"$ref": "#/components/schemas/Status"}}}
_FAILED = {"description": "The call failed.", "content": _ERROR_CONTENT}


def build(contract: Contract, settings: Settings, mesh: MeshSettings) -> AsgiApp:
    """The whole gateway, with a channel to each service."""
    services = {method.service.full_name: method.service for method in contract.methods}
    channels = {name: open_channel(settings.address(name), service, mesh) for name, service in services.items()}

    connections = Connections(
        int(settings.listen.rpartition(":")[2]), settings.max_connections, settings.max_connections_per_address, settings.trusted_proxies
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watch = asyncio.create_task(connections.watch())
        # What exists now lives as long as the process, so that the garbage collector need not visit it.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 100)
        yield
        watch.cancel()
        for channel in channels.values():
            await channel.close(grace=mesh.grace_seconds)

    limits = TimeLimits(mesh.deadline_seconds, mesh.stream_idle_seconds, settings.heartbeat_seconds)
    pages = _pages(contract, Services(contract, channels), lifespan)
    tokens = console.TokenClient(channels[console.AUTH_SERVICE], settings.trusted_proxies)
    pages.include_router(console.router(settings.console, tokens))
    app = Transcoder(pages, contract, channels, limits, Admission(connections, settings), settings.trusted_proxies)
    return open_to(settings.cors_origins, app, credentials=settings.cors_credentials) if settings.cors_origins else app


def offline_document(descriptors: bytes) -> dict[str, Any]:
    """The OpenAPI document of contracts, made without a service at hand."""
    contract = Contract(descriptors)
    return _pages(contract, Services(contract, {})).openapi()


def _pages(contract: Contract, services: Services, lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """The pages that are not in the contracts: documentation, health and status."""
    app = FastAPI(
        title="HashiraMart",
        version=version("hashiramart"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        # The document has its own servers, whichever prefix it is asked for under.
        root_path_in_servers=False,
        redirect_slashes=False,
    )
    patch_fastapi(app, redirect_from_root_to_docs=False)
    _document(app, contract)
    for error in (HTTPException, GatewayError, grpc.aio.AioRpcError):
        app.add_exception_handler(error, _error_response)

    @app.get("/healthz", operation_id="Gateway_GetHealth", tags=["Gateway"], openapi_extra=_page_description({"status": "ok"}))
    async def get_health() -> dict[str, str]:
        """Returns 200 while the gateway itself is up."""
        return {"status": "ok"}

    requests = {"request_count": 1200, "error_count": 3, "seconds": 9.6}
    service = {"name": "auth", "up": True, "version": app.version, "requests": requests}
    engine = {"name": "postgresql", "up": True, "used_by": ["auth", "catalog"], "not_reached_by": []}
    example = {"version": app.version, "services": [service], "engines": [engine]}
    described = _page_description(example) | {"security": [{"token": []}]}

    @app.get("/status", operation_id="Gateway_GetStatus", tags=["Gateway"], openapi_extra=described)
    async def get_status(request: Request) -> MeshStatus:
        """Returns which services and engines are up, and how many requests to each service the gateway has answered.

        Who may call: staff and admins.
        """
        await services.require_staff(request.headers.get("authorization", ""))
        return await services.status(app.version)

    return app


def _page_description(example: Json) -> Json:
    """What the document says of a page beyond its types: an example of its answer, and its errors."""
    return {"responses": {"200": {"content": {"application/json": {"example": example}}}, "default": _FAILED}}


def _document(app: FastAPI, contract: Contract) -> None:
    """Adds the contracts' paths to the app's OpenAPI document."""
    document_pages = app.openapi

    @cache
    def openapi() -> dict[str, Any]:
        described, pages = document(contract, app.version), document_pages()
        described["paths"] |= pages["paths"]
        described["components"]["schemas"] |= pages["components"]["schemas"]
        return described

    app.openapi = openapi  # type: ignore[method-assign]


async def _error_response(request: Request, error: Exception) -> Response:
    """The response to an error outside of the contracts' paths, in the shape that all errors have."""
    headers = {}
    if isinstance(error, (GatewayError, grpc.aio.AioRpcError)):
        status = errors.status_of(error, "auth")
    elif isinstance(error, HTTPException) and error.status_code == 404:
        status = errors.path_not_found(request.url.path)
    elif isinstance(error, HTTPException) and error.status_code == 405:
        status = errors.method_not_allowed(request.method, request.url.path)
        headers = dict(error.headers or {})
    else:
        status = errors.internal_status()
    response = errors.error_response(status)
    return Response(response.body, response.status, headers | {key.decode(): value.decode() for key, value in response.headers})
