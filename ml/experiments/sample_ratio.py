"""Whether shoppers came to the arms of an experiment in the ratio that was asked for.

Lindon, Malek (2022): Anytime-valid inference for multinomial count data. Advances in Neural Information Processing Systems 35.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln

# How strongly the alternative is drawn to the ratio that was asked for, in subjects: small deviations are found sooner the larger it is.
_CONCENTRATION = 100.0


def sample_ratio_p_value(control_count: ArrayLike, treatment_count: ArrayLike, treatment_share: float) -> NDArray[np.float64]:
    """A p-value that is valid at any time: the probability that it is ever below p is at most p if the ratio is right.

    It is the inverse of the Bayes factor of a Beta-distributed share against the share that was asked for.

    control_count, treatment_count: arrays of one shape, or numbers
    """
    control, treatment = np.asarray(control_count, np.float64), np.asarray(treatment_count, np.float64)
    control_prior, treatment_prior = _CONCENTRATION * (1 - treatment_share), _CONCENTRATION * treatment_share
    alternative = betaln(control_prior + control, treatment_prior + treatment) - betaln(control_prior, treatment_prior)
    asked_for = control * math.log1p(-treatment_share) + treatment * math.log(treatment_share)
    p_value: NDArray[np.float64] = np.exp(np.minimum(asked_for - alternative, 0.0))
    return p_value
