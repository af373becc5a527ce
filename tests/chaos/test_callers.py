"""How the callers choose a gateway."""

import asyncio
from typing import cast

import httpx

from chaos.callers import Gateways
from stack.demo.client import Json, ShopClient


class DeadGateway:
    def with_token(self, token: str) -> "DeadGateway":
        return self

    async def call(self, method: str, path: str) -> Json:
        await asyncio.sleep(0)
        raise httpx.ConnectError("refused")


class LiveGateway(DeadGateway):
    async def call(self, method: str, path: str) -> Json:
        await asyncio.sleep(0)
        return {"path": path}


async def test_every_call_passes_over_a_gateway_that_is_dead_while_others_call() -> None:
    gateways = Gateways([cast(ShopClient, DeadGateway()), cast(ShopClient, LiveGateway())])
    responses = await asyncio.gather(*(gateways.call("", "GET", str(number)) for number in range(9)))
    assert [response["path"] for response in responses] == [str(number) for number in range(9)]
