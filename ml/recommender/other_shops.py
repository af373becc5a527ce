"""Evaluation on another shop's data: fits on a train file, recommends to the users of a test file, and scores the lists."""

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lake.columns import COUNTRY, CUSTOMER_NUMBER, DATE, PRODUCT_ID, QUANTITY
from ml.recommender import metrics
from ml.recommender.arrays import Floats, Ints
from ml.recommender.features import WINDOW
from ml.recommender.hyperparameters import RecommenderHyperparameters
from ml.recommender.pairs_file import PRODUCT, USER, InvalidPairs
from ml.recommender.pairs_model import PairsModel, top_k
from ml.recommender.pairs_split import PairsSplit
from ml.recommender.request import RecommendationRequest
from ml.recommender.train import TrainingData, fit_before
from ml.recommender.windows import HISTORY_DAYS

# The number of users who are recommended to at a time.
BLOCK_SIZE = 250
# Users, shape (users,), their best products and the scores, shape (users, k) each; -inf where there is no product.
Block = tuple[Ints, Ints, Floats]


def evaluate(
    train: Path, test: Path, k: int, hyperparameters: RecommenderHyperparameters, out: Path, *, include_purchased: bool
) -> dict[str, float]:
    """Writes `user, product, rank, score` for every user of the test file, and returns the metrics of the lists.

    The recommender is fitted on times if the test file comes after the train file and there are enough days; else on pairs alone.
    Users of the train file are scored, on its products; without `include_purchased` a user's own are neither recommended nor scored.
    Raises `InvalidPairs`.
    """
    split = PairsSplit.read(train, test, include_purchased=include_purchased)
    by_days = split.test_is_later and split.day_count >= HISTORY_DAYS + WINDOW
    recommend = recommend_by_days if by_days else recommend_by_pairs
    blocks = list(_show_progress(recommend(split, k, hyperparameters, include_purchased), len(split.test_users)))
    users = np.concatenate([users for users, _, _ in blocks])
    products, scores = np.vstack([products for _, products, _ in blocks]), np.vstack([scores for _, _, scores in blocks])
    _write_lists(out, split, users, products, scores)
    lists = {user: row[shown].tolist() for user, row, shown in zip(users.tolist(), products, np.isfinite(scores), strict=True)}
    if not split.truth:
        raise InvalidPairs(f"{test} has nothing to find: no user of {train} bought one of its products there that may be recommended.")
    return metrics.scores(lists, split.truth, len(split.products), k)


def recommend_by_pairs(split: PairsSplit, k: int, hyperparameters: RecommenderHyperparameters, include_purchased: bool) -> Iterator[Block]:
    """Recommends by the pairs alone; users who are not in the train file get the most popular products."""
    model = PairsModel(split.purchase_matrix(), hyperparameters.seed)
    for users in _blocks(split.test_users[split.test_users < split.train_user_count]):
        yield users, *top_k(model.scores(users, include_purchased=include_purchased), k)
    for users in _blocks(split.test_users[split.test_users >= split.train_user_count]):
        yield users, *top_k(np.tile(model.popularity, (len(users), 1)), k)


def recommend_by_days(split: PairsSplit, k: int, hyperparameters: RecommenderHyperparameters, include_purchased: bool) -> Iterator[Block]:
    """Recommends by the recommender itself, fitted on days."""
    numbers, events = _interactions(split)
    data = TrainingData(events, {})
    model = fit_before(data, data.through_date + timedelta(days=1), hyperparameters)
    for users in _blocks(split.test_users):
        products = np.zeros((len(users), min(k, len(split.products))), np.int32)
        scores = np.full(products.shape, -np.inf, np.float32)
        for row, user in enumerate(users):
            request = RecommendationRequest(str(numbers[user]), include_purchased=include_purchased)
            ranking = model.recommend(request, limit=k)
            products[row, : len(ranking)], scores[row, : len(ranking)] = ranking.product, ranking.score
        yield users, products, scores


def _interactions(split: PairsSplit) -> tuple[np.ndarray, pa.Table]:
    """The customer number of each user, and the train file as a table with the columns of `lake.columns.INTERACTIONS`."""
    if split.train.day is None:
        raise ValueError("there are no times")
    day = np.floor(split.train.day - split.train.day.min()).astype(np.int32)
    # Padded, so that text and indices sort alike.
    numbers, product_ids = (np.char.zfill(np.arange(len(ids)).astype(str), 10) for ids in (split.users, split.products))
    rows = pa.table(
        {
            CUSTOMER_NUMBER: numbers[split.user],
            PRODUCT_ID: product_ids[split.product],
            DATE: pa.array(day, pa.int32()).cast(pa.date32()),
            QUANTITY: split.train.quantity,
        }
    )
    events = rows.group_by([CUSTOMER_NUMBER, PRODUCT_ID, DATE], use_threads=False).aggregate([(QUANTITY, "sum")])
    events = events.rename_columns([CUSTOMER_NUMBER, PRODUCT_ID, DATE, QUANTITY])
    return numbers, events.append_column(COUNTRY, pa.nulls(len(events), pa.string()))


def _write_lists(out: Path, split: PairsSplit, users: Ints, products: Ints, scores: Floats) -> None:
    shown = np.isfinite(scores)
    ranks = np.broadcast_to(np.arange(1, products.shape[1] + 1, dtype=np.int32), products.shape)
    columns = {
        USER: split.users.take(np.broadcast_to(users[:, None], products.shape)[shown]),
        PRODUCT: split.products.take(products[shown]),
        "rank": ranks[shown],
        "score": scores[shown],
    }
    pq.write_table(pa.table(columns), out)


def _blocks(users: Ints) -> Iterator[Ints]:
    return (users[start : start + BLOCK_SIZE] for start in range(0, len(users), BLOCK_SIZE))


def _show_progress(blocks: Iterator[Block], user_count: int) -> Iterator[Block]:
    """Passes the blocks on, and shows on a terminal how many users are done."""
    done = 0
    if sys.stderr.isatty():
        print("fitting ...", end="", file=sys.stderr, flush=True)
    for block in blocks:
        yield block
        done += len(block[0])
        if sys.stderr.isatty():
            print(f"\rrecommended to {done:,} of {user_count:,} users", end="\n" if done == user_count else "", file=sys.stderr, flush=True)
