"""The calendar of the demo."""

from datetime import date

from stack.demo.context import STAFF, DemoContext, say

# The demo's shop is in London, and closed on public holidays.
_TIME_ZONE = "Europe/London"
_HOLIDAYS = {"country_code": "GB", "subdivision_code": "ENG", "closed": True}


async def fill_calendar(demo: DemoContext) -> None:
    """Enters the public holidays of this year and the next one, as seen from the last day of the sales, as closures."""
    if demo.settings.shop_time_zone != _TIME_ZONE:
        say("calendar", f"is left empty: the shop is not in {_TIME_ZONE}")
        return
    staff = await demo.sign_in(STAFF)
    forecast = await staff.call("GET", "/forecasts/sales?horizon_days=1&history_days=0")
    year = date.fromisoformat(forecast["data_through_date"]).year
    report = await staff.call("POST", "/calendar/holidays:import", json={**_HOLIDAYS, "first_year": year, "last_year": year + 1})
    say("calendar", f"{report['row_count']} public holidays to come are closures")
