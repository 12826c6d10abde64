"""Types of arrays, with their shapes, and of decoded JSON."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Embedding = NDArray[np.float32]
"""float32, L2-normalised: `(dim,)`."""
Embeddings = NDArray[np.float32]
"""float32, each row L2-normalised: `(n, dim)`."""
Pixels = NDArray[np.uint8]
"""uint8 RGB, channels first: `(3, height, width)`, or `(n, 3, height, width)`."""

JsonDict = dict[str, Any]
"""A decoded JSON object; only where JSON is read or written."""
