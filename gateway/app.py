"""The FastAPI app, which owns what is not in the contracts, inside of the transcoder."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib.metadata import version
from typing import Any

import grpc
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.types import Lifespan

from gateway import errors
from gateway.contract import Contract
from gateway.errors import refusal
from gateway.exchange import AsgiApp
from gateway.openapi import document
from gateway.settings import Settings
from gateway.streams import Limits
from gateway.transcode import Transcoder
from mesh.channel import open_channel
from mesh.settings import MeshSettings


def build(contract: Contract, settings: Settings, mesh: MeshSettings) -> AsgiApp:
    """The whole gateway, with a channel to each service."""
    services = {method.service.full_name: method.service for method in contract.methods}
    channels = {name: open_channel(settings.address(name), service, mesh) for name, service in services.items()}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # What lives now lives as long as the process, and need not be looked through again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 100)
        yield
        for channel in channels.values():
            await channel.close(grace=mesh.grace_seconds)

    limits = Limits(mesh.deadline_seconds, mesh.stream_idle_seconds, settings.heartbeat_seconds)
    return Transcoder(_pages(contract, lifespan), contract, channels, limits, settings.trusted_proxies)


def _pages(contract: Contract, lifespan: Lifespan[FastAPI]) -> FastAPI:
    app = FastAPI(title="HashiraMart", version=version("hashiramart"), lifespan=lifespan, redoc_url=None)
    own = app.openapi

    @cache
    def openapi() -> dict[str, Any]:
        described = document(contract, app.version)
        return described | {"paths": described["paths"] | own()["paths"]}

    app.openapi = openapi  # type: ignore[method-assign]
    app.add_exception_handler(HTTPException, _refuse)

    @app.api_route("/healthz", methods=["GET", "HEAD"], tags=["Gateway"])
    async def health() -> dict[str, str]:
        """Says that the gateway itself is up."""
        return {"status": "ok"}

    return app


async def _refuse(request: Request, error: Exception) -> Response:
    """What FastAPI refuses, in the one shape of all refusals."""
    status_code = error.status_code if isinstance(error, HTTPException) else 500
    if status_code == 404:
        status = refusal(grpc.StatusCode.NOT_FOUND, "PATH_NOT_FOUND", f"there is nothing at {request.url.path}")
    elif status_code == 405:
        status = refusal(grpc.StatusCode.UNIMPLEMENTED, "METHOD_NOT_ALLOWED", f"this path does not take {request.method}")
    else:
        status = errors.internal()
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    answer = errors.answer(status)
    return Response(answer.body, answer.status, headers | {key.decode(): value.decode() for key, value in answer.headers})
