"""The FastAPI app, which owns what is not in the contracts, inside of the transcoder."""

import gc
import multiprocessing
import os
import signal
import threading
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

from gateway import errors
from gateway.contract import Contract
from gateway.errors import refusal
from gateway.exchange import AsgiApp, Refused
from gateway.openapi import document
from gateway.settings import Settings
from gateway.status import MeshStatus, Services
from gateway.streams import Limits
from gateway.transcode import Transcoder
from mesh import telemetry
from mesh.channel import open_channel
from mesh.settings import MeshSettings


def worker(settings: Settings, mesh: MeshSettings) -> AsgiApp:
    """The gateway in a process of its own, one of several."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # The process that started it tells what all of them count.
    telemetry.start("gateway", mesh.model_copy(update={"metrics_listen": ""}))
    return build(Contract(settings.descriptors.read_bytes()), settings, mesh)


def _end_with_parent() -> None:
    # The parent ends its workers, unless it is killed itself: then they would hold the port, and nobody could take its place.
    if parent := multiprocessing.parent_process():
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


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
    return Transcoder(_pages(contract, Services(contract, channels), lifespan), contract, channels, limits, settings.trusted_proxies)


def _pages(contract: Contract, services: Services, lifespan: Lifespan[FastAPI]) -> FastAPI:
    app = FastAPI(
        title="HashiraMart",
        version=version("hashiramart"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    patch_fastapi(app, redirect_from_root_to_docs=False)
    own = app.openapi

    @cache
    def openapi() -> dict[str, Any]:
        described, pages = document(contract, app.version), own()
        described["paths"] |= pages["paths"]
        described["components"]["schemas"] |= pages["components"]["schemas"]
        return described

    app.openapi = openapi  # type: ignore[method-assign]
    for error in (HTTPException, Refused, grpc.aio.AioRpcError):
        app.add_exception_handler(error, _refuse)

    refused = {"responses": {"default": {"$ref": "#/components/responses/Refused"}}}

    @app.get("/healthz", tags=["Gateway"], openapi_extra=refused)
    async def get_health() -> dict[str, str]:
        """Says that the gateway itself is up."""
        return {"status": "ok"}

    @app.get("/status", tags=["Gateway"], openapi_extra=refused | {"security": [{"token": []}]})
    async def get_status(request: Request) -> MeshStatus:
        """Says which services are up. Who may call: staff and admins."""
        await services.refuse_unless_staff(request.headers.get("authorization", ""))
        return await services.status(app.version)

    return app


async def _refuse(request: Request, error: Exception) -> Response:
    """What is refused outside of the contracts' paths, in the one shape of all refusals."""
    headers = {}
    if isinstance(error, Refused):
        status = error.status
    elif isinstance(error, grpc.aio.AioRpcError):
        status = errors.refused_by(error, "auth")
    elif isinstance(error, HTTPException) and error.status_code == 404:
        status = refusal(grpc.StatusCode.NOT_FOUND, "PATH_NOT_FOUND", f"there is nothing at {request.url.path}")
    elif isinstance(error, HTTPException) and error.status_code == 405:
        status = refusal(grpc.StatusCode.UNIMPLEMENTED, "METHOD_NOT_ALLOWED", f"this path does not take {request.method}")
        headers = dict(error.headers or {})
    else:
        status = errors.internal()
    answer = errors.answer(status)
    return Response(answer.body, answer.status, headers | {key.decode(): value.decode() for key, value in answer.headers})
