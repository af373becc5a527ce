"""The demo's last lines: what the models answer, the web pages, and the accounts."""

from collections.abc import Iterator

from stack.demo.context import SHOPPER, STAFF, DemoContext
from stack.engines import minio

PAGES = {
    "mlflow": "MLflow: trainings and promoted models",
    "minio": f"MinIO, the store: user {minio.ROOT_USER}, password MINIO_ROOT_PASSWORD in secrets.env",
    "namenode": "HDFS, with the raw sales",
    "resourcemanager": "YARN",
    "history": "Spark's history",
}


async def show(demo: DemoContext) -> None:
    """Prints recommendations, a forecast, the web pages and the accounts."""
    await _show_recommendations(demo)
    await _show_forecast(demo)
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


def _pages(demo: DemoContext) -> Iterator[tuple[str, str]]:
    """Address and title of the web pages of processes that run."""
    yield f"{demo.processes['gateway'].address}/docs", "the REST API, to try out: sign in under Authorize"
    for name, title in PAGES.items():
        if name in demo.processes:
            yield demo.processes[name].address, title
