"""Intervals of the difference between two arms that stay valid however often one looks.

They are asymptotic confidence sequences: the probability that the true value is ever outside, at any of the looks, is at most `ALPHA`,
once the arms are large enough for a central limit theorem.

Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2024): Time-uniform central limit theory and asymptotic confidence sequences. Annals of
Statistics 52 (6). The boundary is the normal mixture of Robbins (1970); the shape of it that suits a number of subjects is chosen as in
appendix B of Howard, Ramdas, McAuliffe, Sekhon (2021): Time-uniform, nonparametric, nonasymptotic confidence sequences. Annals of
Statistics 49 (2).
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

ALPHA = 0.05
# With fewer subjects in an arm, no interval is given.
MIN_SUBJECTS = 100
# The number of subjects, of both arms, at which the intervals are as narrow as they can be; wider than at their best by a few percent at
# a third and at three times of it.
_BEST_AT = 10_000
_RHO_SQUARED = (-2 * math.log(ALPHA) + math.log(-2 * math.log(ALPHA) + 1)) / _BEST_AT

Numbers = NDArray[np.float64]


class Moments(NamedTuple):
    """What is known of a metric in an arm: numbers, or arrays of one shape with one entry for each experiment and look."""

    subjects: Numbers
    """Their number. Subjects count in the order in which they came: each look sees all that the look before saw."""
    mean: Numbers
    variance: Numbers


class Interval(NamedTuple):
    """A value and the ends of its interval, which are infinite if too little is known. NaN for a value that is not defined."""

    value: Numbers
    lower: Numbers
    upper: Numbers


def moments(subjects: ArrayLike, sum: ArrayLike, sum_of_squares: ArrayLike) -> Moments:
    """The moments from sums over subjects."""
    count, total, squares = (np.asarray(each, np.float64) for each in (subjects, sum, sum_of_squares))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / count
        variance = np.maximum(squares / count - mean**2, 0) * count / (count - 1)
    return Moments(count, mean, variance)


def difference(control: Moments, treatment: Moments) -> Interval:
    """The mean of the treatment less that of the control."""
    value = treatment.mean - control.mean
    with np.errstate(invalid="ignore", divide="ignore"):
        margin = np.sqrt(_boundary(control, treatment) * (_error(control) + _error(treatment)))
    margin = np.where(_is_known(control, treatment), margin, np.inf)
    return Interval(value, value - margin, value + margin)


def lift(control: Moments, treatment: Moments) -> Interval:
    """The difference as a share of the control's mean.

    Holds the shares r for which the mean of treatment - (1 + r) control may be 0, as Fieller (1954) does for a single look; each r has a
    confidence sequence of its own, of which only that of the true r has to hold. Infinite while the control's mean may be 0.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        boundary = _boundary(control, treatment)
        square = control.mean**2 - boundary * _error(control)
        middle = control.mean * treatment.mean
        root = np.sqrt(np.maximum(middle**2 - square * (treatment.mean**2 - boundary * _error(treatment)), 0))
        is_known = _is_known(control, treatment) & (square > 0)
        lower, upper = ((middle + sign * root) / square - 1 for sign in (-1, 1))
        value = treatment.mean / control.mean - 1
    return Interval(value, np.where(is_known, lower, -np.inf), np.where(is_known, upper, np.inf))


def _boundary(control: Moments, treatment: Moments) -> Numbers:
    """The square of how many standard errors the estimate may be away."""
    scaled = (control.subjects + treatment.subjects) * _RHO_SQUARED
    boundary: Numbers = (scaled + 1) / scaled * np.log((scaled + 1) / ALPHA**2)
    return boundary


def _error(arm: Moments) -> Numbers:
    """The square of the mean's standard error."""
    return arm.variance / arm.subjects


def _is_known(control: Moments, treatment: Moments) -> NDArray[np.bool_]:
    # Where nothing has varied yet, the variance says nothing.
    varied = (control.variance > 0) & (treatment.variance > 0)
    return varied & (np.minimum(control.subjects, treatment.subjects) >= MIN_SUBJECTS)
