"""A train and a test file of user-product pairs, with ids converted to indices."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from ml.recommender import pairs_file
from ml.recommender.arrays import UNKNOWN, Ints
from ml.recommender.matrices import binary_purchase_matrix
from ml.recommender.pairs_file import PRODUCT, USER, InvalidPairs, Pairs


@dataclass(frozen=True)
class PairsSplit:
    """Products and users are indices; users who are only in the test file come after those of the train file."""

    users: pa.Array
    """User ids, of both files."""
    products: pa.Array
    """Product ids, of the train file."""
    train: Pairs
    user: Ints
    """Index of the user of each train row."""
    product: Ints
    """Index of the product of each train row."""
    train_user_count: int
    test_users: Ints
    """The users of the test file, in ascending order."""
    truth: dict[int, set[int]]
    """The products that each scored user bought in the test file, at least one."""
    test_is_later: bool
    """Whether there are times, and none in the test file is before the last of the train file."""

    @classmethod
    def read(cls, train_file: Path, test_file: Path, *, include_purchased: bool) -> "PairsSplit":
        """Reads both files. Raises `InvalidPairs`.

        include_purchased: whether products that a user bought in the train file count in the test file
        """
        train, test = pairs_file.read(train_file), pairs_file.read(test_file)
        for column, train_ids, test_ids in ((USER, train.user, test.user), (PRODUCT, train.product, test.product)):
            if train_ids.type != test_ids.type:
                raise InvalidPairs(f"{test_file}, column `{column}`: {test_ids.type}, but {train_ids.type} in {train_file}.")
        train_users, products = train.user.unique(), train.product.unique()
        new_users = test.user.filter(pc.invert(pc.is_in(test.user, train_users))).unique()
        users = pa.concat_arrays([train_users, new_users])
        user, product = _indices(train.user, train_users), _indices(train.product, products)
        bought = np.column_stack((_indices(test.user, users), _indices(test.product, products)))
        counts = (bought[:, 0] < len(train_users)) & (bought[:, 1] != UNKNOWN)
        if not include_purchased:
            purchased = np.unique(user.astype(np.int64) * len(products) + product)
            counts &= ~np.isin(bought[:, 0].astype(np.int64) * len(products) + bought[:, 1], purchased)
        truth: dict[int, set[int]] = {}
        for one, found in bought[counts].tolist():
            truth.setdefault(one, set()).add(found)
        later = train.day is not None and (test.day is None or test.day.min() >= train.day.max())
        return cls(users, products, train, user, product, len(train_users), np.unique(bought[:, 0]), truth, later)

    @property
    def day_count(self) -> float:
        """The days from the first to the last time of the train file; 0 without times."""
        return 0.0 if self.train.day is None else float(self.train.day.max() - self.train.day.min())

    def purchase_matrix(self) -> sparse.csr_array:
        """1 where a user of the train file has bought a product. Shape (train users, products)."""
        return binary_purchase_matrix(self.user, self.product, (self.train_user_count, len(self.products)))


def _indices(values: pa.Array, distinct: pa.Array) -> Ints:
    """The index of each value among the distinct ones, or UNKNOWN."""
    indices: Ints = pc.fill_null(pc.index_in(values, distinct), UNKNOWN).to_numpy().astype(np.int32)
    return indices
