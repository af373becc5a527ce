"""The slot of the demo."""

from stack.demo.client import RestError
from stack.demo.context import STAFF, DemoContext, say

_SLOT = {"id": "home", "source": "SLOT_SOURCE_PERSONAL", "size": 10, "max_per_category": 3}


async def create_slot(demo: DemoContext) -> None:
    """Creates the slot of the home page, unless it is there."""
    staff = await demo.sign_in(STAFF)
    path = f"/recommendations/slots/{_SLOT['id']}"
    try:
        await staff.call("GET", path)
    except RestError as error:
        if error.reason != "SLOT_NOT_FOUND":
            raise
        await staff.call("PUT", path, json=_SLOT)
    say("slots", f"{_SLOT['id']} shows personal recommendations, at most {_SLOT['max_per_category']} of a category")
