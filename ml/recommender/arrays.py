"""The types of the recommender's arrays."""

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.str_]
Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

# The index of whatever the model has not learnt.
UNKNOWN = -1
