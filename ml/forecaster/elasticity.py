"""Price elasticities of products, estimated from what was sold at which price, week by week.

The elasticity of a product is the exponent b of (units ~ price ** b). It is fitted by Poisson quasi-likelihood with the product's own level
conditioned out (Hausman, Hall and Griliches, Econometrica 52, 1984; Wooldridge, Journal of Econometrics 90, 1999), and with what the rest
of the shop sold in a week as the exposure. Estimates are shrunk to those of the category, and these to the shop's, as noisy as each is
(DerSimonian and Laird, Controlled Clinical Trials 7, 1986). A price is what was paid: an offer that was advertised, or a discount for large
orders, counts as one, and what a product takes from others of its category is left out.
"""

from dataclasses import dataclass

import numpy as np

from ml.forecaster.arrays import Booleans, Floats, Integers
from ml.forecaster.periods import WEEK
from ml.forecaster.quantiles import normal_score

# What is assumed before any sale is seen: most elasticities lie between -4 and 0.
PRIOR_MEAN, PRIOR_DEVIATION = -1.5, 1.0
# A price is never thought to raise sales, nor to end them at once.
MIN_ELASTICITY, MAX_ELASTICITY = -8.0, 0.0
_ITERATIONS = 25
# The standard deviation of the logarithm of the price below which a product's price is as good as constant.
_MIN_PRICE_CHANGE = 0.01
_MIN_VARIANCE = 1e-4
# The products of a category are taken to differ by a variance of at least this much: few of them say little about it.
_MIN_SPREAD = 0.1


@dataclass(frozen=True)
class Elasticities:
    """The elasticities of n products, as normal distributions, and the prices that they were estimated from."""

    mean: Floats
    """Shape (n,)."""
    deviation: Floats
    """Shape (n,)."""
    lowest_price: Floats
    """The lowest price of a week relative to the usual one, shape (n,); 1 without sales."""
    highest_price: Floats
    """Shape (n,)."""

    def factors(self, log_price: Floats, level: float = 0.5) -> Floats:
        """What the units of each product are multiplied by, shape (n, days): a quantile of the effect that a change of price has.

        log_price: of the new price relative to the usual one, shape (n, days)
        level: of the quantile of the elasticity, 0 to 1; a higher one is a weaker effect
        """
        elasticity = np.clip(self.mean + normal_score(level) * self.deviation, MIN_ELASTICITY, MAX_ELASTICITY)
        factors: Floats = np.exp(elasticity[:, None] * log_price)
        return factors


def estimate(units: Floats, revenue: Floats, category: Integers) -> Elasticities:
    """The elasticities of n products from their daily sales on T days. units, revenue: shape (n, T); category: codes, shape (n,)"""
    weeks = units.shape[1] // WEEK
    sold, paid = (_by_week(values, weeks) for values in (units, revenue))
    log_price, known = _log_prices(sold, paid)
    exposure = _exposure(sold, category)
    weight = np.where(known, exposure, 0.0)
    usual = _row_means(log_price, np.where(known, sold, 0.0))
    relative = np.where(known, log_price - usual[:, None], 0.0)
    own, variance = _fit(np.where(known, sold, 0.0), relative, weight)
    mean, deviation = _shrink(own, variance, category)
    return Elasticities(mean, deviation, np.exp(relative.min(axis=1, initial=0.0)), np.exp(relative.max(axis=1, initial=0.0)))


def _by_week(values: Floats, weeks: int) -> Floats:
    """The sums of the last weeks, shape (n, weeks)."""
    sums: Floats = values[:, values.shape[1] - weeks * WEEK :].reshape(len(values), weeks, WEEK).sum(axis=2)
    sold: Floats = np.maximum(sums, 0.0)
    return sold


def _log_prices(units: Floats, revenue: Floats) -> tuple[Floats, Booleans]:
    """The logarithm of the price of each week, that of the last sale before where there was none, and whether there was one."""
    sold = (units > 0) & (revenue > 0)
    last = np.maximum.accumulate(np.where(sold, np.arange(units.shape[1]), -1), axis=1)
    prices = np.log(np.where(sold, revenue, 1.0) / np.where(sold, units, 1.0))
    known: Booleans = last >= 0
    return np.take_along_axis(prices, np.maximum(last, 0), axis=1), known


def _exposure(units: Floats, category: Integers) -> Floats:
    """What the other categories sold in each week; the whole shop if there is one category, shape (n, weeks)."""
    total = units.sum(axis=0)
    own = np.zeros((int(category.max(initial=0)) + 1, units.shape[1]))
    np.add.at(own, category, units)
    others = np.where((total - own).sum(axis=1, keepdims=True) > 0, total - own, total)
    exposure: Floats = others[category]
    return exposure


def _fit(units: Floats, log_price: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """The estimate and its variance for each product, shape (n,); the variance is infinite without a change of price."""
    total = units.sum(axis=1)
    elasticity = np.zeros(len(units))
    for _ in range(_ITERATIONS):
        expected, centre, information = _moments(elasticity, total, log_price, weight)
        step = np.divide((units * log_price).sum(axis=1) - total * centre, information, out=np.zeros_like(total), where=information > 0)
        elasticity = np.clip(elasticity + np.clip(step, -1, 1), 2 * MIN_ELASTICITY, -MIN_ELASTICITY)
    expected, centre, information = _moments(elasticity, total, log_price, weight)
    freedom = np.maximum((weight > 0).sum(axis=1) - 2, 1)
    pearson = np.divide((units - expected) ** 2, expected, out=np.zeros_like(units), where=expected > 0).sum(axis=1)
    dispersion = np.maximum(pearson / freedom, 1.0)
    changed = np.sqrt(_row_means((log_price - _row_means(log_price, weight)[:, None]) ** 2, weight)) > _MIN_PRICE_CHANGE
    certain = changed & (information > 0)
    return elasticity, np.divide(dispersion, information, out=np.full_like(total, np.inf), where=certain)


def _moments(elasticity: Floats, total: Floats, log_price: Floats, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """The expected units of each week, the mean of the logarithm of the price that they were sold at, and the information, per product."""
    share = weight * np.exp(elasticity[:, None] * log_price)
    sums = share.sum(axis=1, keepdims=True)
    share = np.divide(share, sums, out=np.zeros_like(share), where=sums > 0)
    centre = (share * log_price).sum(axis=1)
    information = total * (share * (log_price - centre[:, None]) ** 2).sum(axis=1)
    return total[:, None] * share, centre, information


def _shrink(own: Floats, variance: Floats, category: Integers) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each product's elasticity, given those of its category and of the shop."""
    groups = int(category.max(initial=0)) + 1
    members = [category == group for group in range(groups)]
    pooled = np.array([_pool(own[each], variance[each]) for each in members])
    shop_mean, shop_variance, shop_spread = _pool(pooled[:, 0], pooled[:, 1])
    shop_mean, shop_variance = _combine(shop_mean, shop_variance, PRIOR_MEAN, PRIOR_DEVIATION**2)
    centres = np.array([_combine(mean, error, shop_mean, shop_variance + shop_spread) for mean, error, _ in pooled])
    spread = pooled[category, 2]
    mean, found = _combine_arrays(own, variance, centres[category, 0], centres[category, 1] + spread)
    return mean, np.sqrt(found)


def _pool(means: Floats, variances: Floats) -> tuple[float, float, float]:
    """The common mean of estimates, its variance, and the variance between what they estimate. Infinite variances do not count."""
    counted = np.isfinite(variances)
    if not counted.any():
        return PRIOR_MEAN, float("inf"), PRIOR_DEVIATION**2
    mean, weight = means[counted], 1 / np.maximum(variances[counted], _MIN_VARIANCE)
    centre = np.average(mean, weights=weight)
    if len(mean) == 1:
        return float(centre), float(1 / weight[0]), PRIOR_DEVIATION**2
    excess = (weight * (mean - centre) ** 2).sum() - (len(mean) - 1)
    between = max(excess / (weight.sum() - (weight**2).sum() / weight.sum()), _MIN_SPREAD)
    weight = 1 / (1 / weight + between)
    return float(np.average(mean, weights=weight)), float(1 / weight.sum()), float(between)


def _combine(mean: float, variance: float, prior: float, prior_variance: float) -> tuple[float, float]:
    found = _combine_arrays(np.array([mean]), np.array([variance]), np.array([prior]), np.array([prior_variance]))
    return float(found[0][0]), float(found[1][0])


def _combine_arrays(mean: Floats, variance: Floats, prior: Floats, prior_variance: Floats) -> tuple[Floats, Floats]:
    """Mean and variance of a normal distribution after an estimate, shape (n,)."""
    precision, before = 1 / variance, 1 / prior_variance
    found = 1 / (precision + before)
    return found * (precision * mean + before * prior), found


def _row_means(values: Floats, weights: Floats) -> Floats:
    """The weighted mean of each row; 0 without weights."""
    total = weights.sum(axis=1)
    means: Floats = np.divide((values * weights).sum(axis=1), total, out=np.zeros_like(total), where=total > 0)
    return means
