"""Another shop's data: recommendations to the users of a test file, learnt from a train file, and what they are worth."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy import sparse

from lake.columns import COUNTRY, CUSTOMER_NUMBER, DATE, PRODUCT_ID, QUANTITY
from ml.recommender import metrics, pairs_file
from ml.recommender.features import WINDOW
from ml.recommender.interactions import EPOCH, Floats, Ints
from ml.recommender.model import Request
from ml.recommender.pairs_file import PRODUCT, USER, Pairs, Unusable
from ml.recommender.parameters import Parameters
from ml.recommender.ranker import HISTORY_DAYS
from ml.recommender.timeless import Timeless, best
from ml.recommender.train import Data, fit_before

# The users of as many are recommended to at a time.
BLOCK = 250
# One block: the users, shape (users,), their best products and the scores, shape (users, k) both; -inf where there is no product.
Block = tuple[Ints, Ints, Floats]


@dataclass(frozen=True)
class Shop:
    """Both files in indices, of the train file's products and of its users; users that only the test file has come after those."""

    users: pa.Array
    products: pa.Array
    train: Pairs
    user: Ints
    product: Ints
    # The test file's users in order, and what each of them is to be found to have bought.
    asked: Ints
    truth: dict[int, set[int]]
    # Whether the test file tells of no time before the train file's last.
    comes_after: bool

    @property
    def known(self) -> int:
        """How many users the train file has."""
        return int(self.user.max()) + 1

    def once(self) -> sparse.csr_array:
        """1 where a user has bought a product, shape (users, products), the unknown users included."""
        shape = len(self.users), len(self.products)
        matrix = sparse.csr_array((np.ones(len(self.user), np.float32), (self.user, self.product)), shape=shape)
        matrix.sum_duplicates()
        matrix.data[:] = 1
        return matrix


def evaluate(train: Path, test: Path, k: int, repeats: bool, parameters: Parameters, out: Path) -> dict[str, float]:
    """Writes `user, product, rank, score` for every user of the test file, and returns what the lists are worth.

    Times count where the test file comes after the train file: then the ranker learns, if the days are enough to learn from.
    Scored are users of the train file, with products of it; without `repeats` a user's own are neither shown nor looked for.
    Raises `pairs_file.Unusable`.
    """
    shop = opened(train, test, repeats)
    recommended = by_days if shop.comes_after and span(shop.train) >= HISTORY_DAYS + WINDOW else by_pairs
    blocks = list(watched(recommended(shop, k, repeats, parameters), len(shop.asked)))
    user = np.concatenate([users for users, _, _ in blocks])
    product, score = (np.vstack([block[part] for block in blocks]) for part in (1, 2))
    there = np.isfinite(score)
    rank = np.broadcast_to(np.arange(1, product.shape[1] + 1, dtype=np.int32), product.shape)
    columns = {
        USER: shop.users.take(np.broadcast_to(user[:, None], product.shape)[there]),
        PRODUCT: shop.products.take(product[there]),
        "rank": rank[there],
        "score": score[there],
    }
    pq.write_table(pa.table(columns), out)
    lists = {one: row[shown].tolist() for one, row, shown in zip(user.tolist(), product, there, strict=True)}
    if not shop.truth:
        raise Unusable(f"{test} tells of nothing to find: no user of {train} bought one of its products there that may show.")
    return metrics.scores(lists, shop.truth, len(shop.products), k)


def opened(train_file: Path, test_file: Path, repeats: bool) -> Shop:
    """Both files read."""
    train, test = pairs_file.read(train_file), pairs_file.read(test_file)
    for column, ours, theirs in ((USER, train.user, test.user), (PRODUCT, train.product, test.product)):
        if ours.type != theirs.type:
            raise Unusable(f"{test_file}, column `{column}`: {theirs.type}, but {ours.type} in {train_file}.")
    users, products = train.user.unique(), train.product.unique()
    strangers = test.user.filter(pc.invert(pc.is_in(test.user, users))).unique()
    everybody = pa.concat_arrays([users, strangers])
    user, product = place(train.user, users), place(train.product, products)
    bought = np.column_stack((place(test.user, everybody), place(test.product, products)))
    counts = (bought[:, 0] < len(users)) & (bought[:, 1] >= 0)
    if not repeats:
        had = np.unique(user.astype(np.int64) * len(products) + product)
        counts &= ~np.isin(bought[:, 0].astype(np.int64) * len(products) + bought[:, 1], had)
    truth: dict[int, set[int]] = {}
    for one, found in bought[counts].tolist():
        truth.setdefault(one, set()).add(found)
    later = train.day is not None and (test.day is None or test.day.min() >= train.day.max())
    return Shop(everybody, products, train, user, product, np.unique(bought[:, 0]), truth, later)


def by_pairs(shop: Shop, k: int, repeats: bool, parameters: Parameters) -> Iterator[Block]:
    """By who bought what alone. Whoever is not in the train file gets what most have bought."""
    once = shop.once()
    model = Timeless(once[: shop.known], parameters.seed)
    for users in blocks_of(shop.asked[shop.asked < shop.known]):
        yield users, *best(model.scores(users, repeats), k)
    for users in blocks_of(shop.asked[shop.asked >= shop.known]):
        yield users, *best(np.tile(model.popularity, (len(users), 1)), k)


def by_days(shop: Shop, k: int, repeats: bool, parameters: Parameters) -> Iterator[Block]:
    """By the whole recommender, on days."""
    if shop.train.day is None:
        raise ValueError("there are no times")
    day = np.floor(shop.train.day - shop.train.day.min()).astype(np.int32)
    # Numbered so that they sort as they are.
    numbers, product_ids = (np.char.zfill(np.arange(len(of)).astype(str), 10) for of in (shop.users, shop.products))
    rows = pa.table(
        {
            CUSTOMER_NUMBER: numbers[shop.user],
            PRODUCT_ID: product_ids[shop.product],
            DATE: pa.array(day, pa.int32()).cast(pa.date32()),
            QUANTITY: shop.train.quantity,
        }
    )
    events = rows.group_by([CUSTOMER_NUMBER, PRODUCT_ID, DATE], use_threads=False).aggregate([(QUANTITY, "sum")])
    events = events.rename_columns([CUSTOMER_NUMBER, PRODUCT_ID, DATE, QUANTITY])
    events = events.append_column(COUNTRY, pa.nulls(len(events), pa.string()))
    model = fit_before(Data(events, {}), EPOCH + timedelta(days=int(day.max()) + 1), parameters)
    for users in blocks_of(shop.asked):
        product = np.zeros((len(users), min(k, len(shop.products))), np.int32)
        score = np.full(product.shape, -np.inf, np.float32)
        for row, user in enumerate(users):
            ranking = model.recommend(Request(str(numbers[user]), include_purchased=repeats), limit=k)
            product[row, : len(ranking)], score[row, : len(ranking)] = ranking.product, ranking.score
        yield users, product, score


def span(train: Pairs) -> float:
    """How many days the times reach over."""
    return 0.0 if train.day is None else float(train.day.max() - train.day.min())


def place(values: pa.Array, among: pa.Array) -> Ints:
    """The place of each value, -1 if it is not among them."""
    found: Ints = pc.fill_null(pc.index_in(values, among), -1).to_numpy().astype(np.int32)
    return found


def blocks_of(users: Ints) -> Iterator[Ints]:
    """The users, block by block."""
    return (users[start : start + BLOCK] for start in range(0, len(users), BLOCK))


def watched(blocks: Iterator[Block], total: int) -> Iterator[Block]:
    """The same blocks; how far they are is shown on a terminal."""
    done = 0
    if sys.stderr.isatty():
        print("learning ...", end="", file=sys.stderr, flush=True)
    for block in blocks:
        yield block
        done += len(block[0])
        if sys.stderr.isatty():
            print(f"\rrecommended to {done:,} of {total:,} users", end="\n" if done == total else "", file=sys.stderr, flush=True)
