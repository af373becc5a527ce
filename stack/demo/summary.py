"""The demo's last lines: what the models answer, the web pages, and the accounts."""

from collections.abc import Iterator

from stack.demo.context import SHOPPER, STAFF, DemoContext
from stack.engines import minio

PAGES = {
    "mlflow": "MLflow, trainings and promoted models: user operator, password MLFLOW_OPERATOR_PASSWORD in secrets.env",
    "minio": f"MinIO, the store: user {minio.ROOT_USER}, password MINIO_ROOT_PASSWORD in secrets.env",
    "namenode": "HDFS, with the raw sales",
    "resourcemanager": "YARN",
    "history": "Spark's history",
}

_DISCOUNT_PERCENT, _SCENARIO_DAYS = 10, 14


async def show(demo: DemoContext, personal: bool) -> None:
    """Prints recommendations, a forecast, a scenario, what to reorder, the web pages and the accounts.

    personal: whether the sales name customers, so that there are recommendations
    """
    if personal:
        await _show_recommendations(demo)
    await _show_forecast(demo)
    await _show_scenario(demo)
    await _show_orders(demo)
    print("\nWeb pages:")
    for address, title in _pages(demo):
        print(f"  {address:32}{title}")
    print(f"\nAccounts (in {demo.accounts_file}):")
    for user, account in demo.accounts.items():
        print(f"  {user.lower():10}{account.email:24}{account.password}")


async def _show_recommendations(demo: DemoContext) -> None:
    response = await (await demo.sign_in(SHOPPER)).call("GET", "/recommendations/me?page_size=5")
    print("\nRecommended to the shopper:")
    for each in response["recommendations"]:
        print(f"  {each['product']['name']:38.38}{each['reason']['text']}")


async def _show_forecast(demo: DemoContext) -> None:
    forecast = await (await demo.sign_in(STAFF)).call("GET", "/forecasts/sales?granularity=week&levels=80")
    print("\nForecast of the shop's sales, in units per week:")
    for point in forecast["points"]:
        [band] = point["bands"]
        print(f"  from {point['date']}  {point['mean']:>10,.0f}   {band['level']} % interval: {band['lower']:,.0f} to {band['upper']:,.0f}")


async def _show_scenario(demo: DemoContext) -> None:
    scenario = {"price_changes": [{"change_percent": -_DISCOUNT_PERCENT}]}
    request = {"horizon_days": _SCENARIO_DAYS, "history_days": 0, "granularity": "week", "scenario": scenario}
    response = await (await demo.sign_in(STAFF)).call("POST", "/forecasts/sales:query", json=request)
    print(f"\nWhat if everything were {_DISCOUNT_PERCENT} % cheaper for {_SCENARIO_DAYS} days:")
    for name, unit in (("units", "units"), ("revenue", demo.settings.shop_currency)):
        mean, lower, upper = (response["scenario"][name][key] for key in ("mean", "lower", "upper"))
        print(f"  {mean:>+12,.0f} {unit}   95 % interval: {lower:+,.0f} to {upper:+,.0f}")


async def _show_orders(demo: DemoContext) -> None:
    response = await (await demo.sign_in(STAFF)).call("GET", "/reorder/suggestions?only_due=true&page_size=5")
    print("\nTo reorder first, with the default lead time and service level:")
    for each in response["suggestions"]:
        print(f"  {each['name']:38.38}{each['quantity']:>6,} units; {each['stock']:,} in stock last {each['cover_days']} days")


def _pages(demo: DemoContext) -> Iterator[tuple[str, str]]:
    """Address and title of the web pages of processes that run."""
    yield f"{demo.processes['gateway'].address}/console", "the console, for the accounts below"
    yield f"{demo.processes['gateway'].address}/docs", "the REST API, to try out: sign in under Authorize"
    for name, title in PAGES.items():
        if name in demo.processes:
            yield demo.processes[name].address, title
