"""The slot of the demo."""

from stack.demo.context import STAFF, DemoContext, say

_SLOT = {"id": "home", "source": "SLOT_SOURCE_PERSONAL", "size": 10, "max_per_category": 3}


async def create_slot(demo: DemoContext) -> None:
    """Creates the slot of the home page, unless it is there."""
    staff = await demo.sign_in(STAFF)
    listed = await staff.call("GET", "/recommendations/slots")
    if all(slot["id"] != _SLOT["id"] for slot in listed["slots"]):
        await staff.call("PUT", f"/recommendations/slots/{_SLOT['id']}", json=_SLOT)
    say("slots", f"{_SLOT['id']} shows personal recommendations, at most {_SLOT['max_per_category']} of a category")
