"""The step that creates the demo's users, and the one that gives the shopper a purchase history."""

import sys

import pyarrow as pa

from lake.columns import CUSTOMER_NUMBER, DATE
from stack.demo.client import RestError
from stack.demo.context import ADMIN, SHOPPER, STAFF, DemoContext, say


async def create_users(demo: DemoContext) -> None:
    """Creates the demo users that are missing: an admin, a member of staff and a customer."""
    if not await _has_account(demo, ADMIN):
        account = demo.accounts[ADMIN]
        create = [sys.executable, "-m", "services.auth.admin", "create-admin", "--email", account.email]
        await demo.execute(create, "auth", text=account.password)
    for user in (STAFF, SHOPPER):
        if not await _has_account(demo, user):
            await demo.shop.sign_up(demo.accounts[user], user.capitalize())
    staff = await (await demo.sign_in(STAFF)).call("GET", "/users/me")
    if staff["role"] != "ROLE_STAFF":
        await demo.change_user(staff, role="staff")
    say("users", "an admin, staff and a shopper have accounts")


async def link_shopper(demo: DemoContext) -> None:
    """Links the shopper to a customer of the sales history, unless that has been done."""
    user = await (await demo.sign_in(SHOPPER)).call("GET", "/users/me")
    number = user["customer_number"] or _most_frequent_customer(await demo.table("interactions"))
    if not user["customer_number"]:
        await demo.change_user(user, customer_number=number)
    say("shopper", f"is customer {number} of the sales history")


async def _has_account(demo: DemoContext, user: str) -> bool:
    try:
        await demo.sign_in(user)
    except RestError as error:
        if error.reason != "invalid_grant":
            raise
        return False
    return True


def _most_frequent_customer(interactions: pa.Table) -> str:
    """The number of the customer who bought on the most days; of several, the lowest."""
    days = interactions.group_by([CUSTOMER_NUMBER, DATE]).aggregate([]).group_by(CUSTOMER_NUMBER).aggregate([(DATE, "count")])
    number: str = days.sort_by([(f"{DATE}_count", "descending"), (CUSTOMER_NUMBER, "ascending")])[CUSTOMER_NUMBER][0].as_py()
    return number
