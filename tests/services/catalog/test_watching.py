"""The stream of changes of products."""

import asyncio
import random
import threading
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta

import asyncpg
import grpc
import pytest

from hashiramart.catalog.v1 import catalog_pb2
from mesh.identity import Role
from tests.callers import Issuer
from tests.loops import Loop
from tests.services.catalog.replica import Replica
from tests.services.catalog.shop import Shop, row
from tests.services.errors import fails_with

CODE = grpc.StatusCode
CREATED, UPDATED, DELETED, BOOKMARK = (
    catalog_pb2.CHANGE_KIND_CREATED,
    catalog_pb2.CHANGE_KIND_UPDATED,
    catalog_pb2.CHANGE_KIND_DELETED,
    catalog_pb2.CHANGE_KIND_BOOKMARK,
)


def changes(shop: Shop, token: str, count: int) -> list[catalog_pb2.ProductChange]:
    """The next changes after a token, without bookmarks."""
    seen = []
    watch = shop.watch(token)
    for change in watch:
        if change.kind != BOOKMARK:
            seen.append(change)
        if len(seen) == count:
            break
    watch.cancel()
    return seen


def now(shop: Shop) -> str:
    """The token of a watcher who has received all changes up to now."""
    watch = shop.watch()
    token = next(watch).token
    watch.cancel()
    return token


def test_a_watch_starts_with_a_bookmark_and_continues_with_new_changes(staff: Shop) -> None:
    staff.create("Before")
    watch = staff.watch()
    bookmark = next(watch)
    assert bookmark.kind == BOOKMARK and bookmark.token and not bookmark.HasField("product")
    assert abs(bookmark.change_time.seconds - time.time()) < 60
    after = staff.create("After")
    change = next(watch)
    assert (change.kind, change.product, change.change_time) == (CREATED, after, after.update_time)
    watch.cancel()


def test_every_kind_of_change_comes_with_the_product_after_it(staff: Shop) -> None:
    token = now(staff)
    made = staff.create("Mug", id="kinds")
    made_changes = [made, staff.update("kinds", stock=3), staff.replace("kinds", "Cup"), staff.delete("kinds"), staff.undelete("kinds")]
    staff.delete("kinds")
    staff.import_products([row("kinds", "Bowl")])
    received = changes(staff, token, 7)
    assert [change.kind for change in received] == [CREATED, UPDATED, UPDATED, DELETED, UPDATED, DELETED, UPDATED]
    assert [change.product for change in received][:5] == made_changes
    assert received[-1].product == staff.get("kinds")
    assert all(change.change_time == change.product.update_time for change in received)


def test_calls_that_change_nothing_or_fail_are_not_streamed(staff: Shop) -> None:
    made = staff.create("Mug")
    token = now(staff)
    staff.update(made.id, name="Mug")
    with fails_with(CODE.ALREADY_EXISTS, "PRODUCT_EXISTS"):
        staff.create(id=made.id)
    with fails_with(CODE.ABORTED, "STALE_ETAG"):
        staff.update(made.id, name="Cup", etag="stale")
    received = staff.update(made.id, name="Bowl")
    assert [change.product for change in changes(staff, token, 1)] == [received]


def test_a_service_may_watch_too(staff: Shop, issuer: Issuer) -> None:
    recommender = Shop(staff.stub, issuer.metadata(Role.SERVICE, "recommender"))
    assert now(recommender)


def test_a_change_is_streamed_within_a_second(staff: Shop) -> None:
    product = staff.create("Mug")
    watch = staff.watch()
    next(watch)
    lags = []
    for stock in range(1, 6):
        written = staff.update(product.id, stock=stock)
        assert next(watch).product == written
        lags.append(time.time() - written.update_time.ToNanoseconds() / 1e9)
    watch.cancel()
    assert sorted(lags)[2] < 1


@pytest.mark.parametrize("tokens", ["of every change", "of bookmarks, too"])
def test_every_change_comes_once_and_in_order_across_reconnects_and_concurrent_writes(staff: Shop, tokens: str) -> None:
    token = now(staff)
    ids = [staff.create("Mug").id for _ in range(4)]
    written: dict[str, list[str]] = defaultdict(list)
    writing = threading.Lock()

    def write(seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311 no secret
        for number in range(30):
            id = dice.choice(ids)
            product = staff.update(id, ["stock", "description"], stock=number, description=f"{seed}")
            with writing:
                written[id].append(product.etag)
        staff.import_products(row(f"{ids[0]}-{seed}-{number}") for number in range(50))

    writers = [threading.Thread(target=write, args=[seed]) for seed in range(4)]
    for writer in writers:
        writer.start()
    seen: list[catalog_pb2.ProductChange] = []
    dice = random.Random(0)  # noqa: S311 no secret
    deadline = time.monotonic() + 60
    expected = 4 + 4 * 30 + 4 * 50
    while len(seen) < expected and time.monotonic() < deadline:
        watch = staff.watch(token)
        for change in watch:
            if change.kind != BOOKMARK:
                seen.append(change)
                token = change.token
            elif tokens == "of bookmarks, too":
                token = change.token
            if len(seen) == expected or dice.random() < 0.05:
                break
        watch.cancel()
    for writer in writers:
        writer.join()
    assert len(seen) == expected
    by_product: dict[str, list[int]] = defaultdict(list)
    for change in seen:
        by_product[change.product.id].append(int(change.product.etag, 16))
    for versions in by_product.values():
        assert versions == list(range(1, len(versions) + 1))
    assert {id: len(by_product[id]) for id in ids} == {id: 1 + len(written[id]) for id in ids}


def test_a_change_that_commits_late_is_not_skipped(staff: Shop, loop: Loop, database_url: str, replica: Replica) -> None:
    """A transaction locks the row of the log until it commits, so that a concurrent change gets a later number."""
    id = staff.create("Mug").id
    token = now(staff)

    async def hold(held: threading.Event, release: threading.Event) -> None:
        connection = await asyncpg.connect(database_url)
        async with connection.transaction():
            await connection.execute("UPDATE catalog.change_log SET last_number = last_number + 1")
            await connection.execute(
                "INSERT INTO catalog.changes SELECT last_number, id, 'Late', description, category, price_cents, currency_code, stock,"
                " create_time, now(), delete_time, version + 1 FROM catalog.products, catalog.change_log WHERE id = $1",
                id,
            )
            held.set()
            await asyncio.to_thread(release.wait, 10)
        await connection.close()

    held, release = threading.Event(), threading.Event()
    late = threading.Thread(target=lambda: asyncio.run(hold(held, release)))
    late.start()
    held.wait(10)
    watch = staff.watch(token)
    assert next(watch).kind == BOOKMARK
    written: list[catalog_pb2.Product] = []
    writer = threading.Thread(target=lambda: written.append(staff.create("On time")))
    writer.start()
    time.sleep(0.5)
    assert not written
    release.set()
    assert [next(watch).product.name for _ in range(2)] == ["Late", "On time"]
    writer.join()
    late.join()
    watch.cancel()


def test_a_watcher_far_behind_catches_up(staff: Shop) -> None:
    token = now(staff)
    staff.import_products(row(f"behind-{number}") for number in range(3000))
    ids = [change.product.id for change in changes(staff, token, 3000)]
    assert sorted(ids) == sorted(f"behind-{number}" for number in range(3000))


def test_many_watchers_receive_the_same_change(staff: Shop) -> None:
    watches = [staff.watch() for _ in range(20)]
    assert {next(watch).kind for watch in watches} == {BOOKMARK}
    written = staff.create("Seen by all")
    assert all(next(watch).product == written for watch in watches)
    for watch in watches:
        watch.cancel()


def test_a_bookmark_comes_after_15_seconds_without_a_change(staff: Shop) -> None:
    watch = staff.watch()
    first, second = next(watch), next(watch)
    assert second.kind == BOOKMARK
    assert 14 < second.change_time.seconds - first.change_time.seconds < 20
    watch.cancel()


def altered(token: str) -> Iterator[str]:
    raw = urlsafe_b64decode(token)
    for place in range(len(raw)):
        yield urlsafe_b64encode(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]).decode()
    yield from (token + "=", token + "A" * 4, token[:-4], token[:-1], "AAAA", "?", "é", token.replace(token[-1], "\0"))


def test_an_altered_token_is_rejected(staff: Shop) -> None:
    for token in altered(now(staff)):
        with fails_with(CODE.INVALID_ARGUMENT, "WATCH_TOKEN_INVALID") as violations:
            next(staff.watch(token))
        assert list(violations) == ["token"]


def test_a_token_is_rejected_once_its_changes_have_expired(staff: Shop, loop: Loop, replica: Replica) -> None:
    old = now(staff)
    staff.create("Swept")
    time.sleep(0.01)
    loop.run(replica.changes.delete_expired(timedelta(0)))
    with fails_with(CODE.OUT_OF_RANGE, "WATCH_TOKEN_EXPIRED"):
        next(staff.watch(old))
    fresh = now(staff)
    kept = staff.create("Kept")
    loop.run(replica.changes.delete_expired(timedelta(days=7)))
    assert [change.product for change in changes(staff, fresh, 1)] == [kept]
    with fails_with(CODE.OUT_OF_RANGE, "WATCH_TOKEN_EXPIRED"):
        next(staff.watch(old))


def test_a_token_of_another_or_a_restored_catalogue_is_rejected(staff: Shop, loop: Loop, database_url: str) -> None:
    async def run(statement: str) -> None:
        connection = await asyncpg.connect(database_url)
        await connection.execute(statement)
        await connection.close()

    token = now(staff)
    loop.run(run("UPDATE catalog.change_log SET last_number = last_number - 1"))
    with fails_with(CODE.INVALID_ARGUMENT, "WATCH_TOKEN_INVALID"):
        next(staff.watch(token))
    loop.run(run("UPDATE catalog.change_log SET last_number = last_number + 1"))
    assert next(staff.watch(token)).kind == BOOKMARK
    loop.run(run("UPDATE catalog.change_log SET secret = '\\x00'"))
    with fails_with(CODE.INVALID_ARGUMENT, "WATCH_TOKEN_INVALID"):
        next(staff.watch(token))
