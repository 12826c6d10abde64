"""Decoding beside the device: threads of their own, and a bound on the memory it takes."""

import os
from concurrent.futures import Future, ThreadPoolExecutor

from petsearch.domain import Pixels, PixelSpec
from petsearch.photos import Budget, ImageLimits, Resize, decode, preprocessing
from petsearch.process_tuning import lower_thread_priority

_AT_LEAST = 640
"""JPEGs may be decoded at a fraction of their size; no model needs more pixels than this."""


class Decoder:
    """Turns encoded pictures into pixels, in as many threads as there are cores."""

    def __init__(self, limits: ImageLimits, resize: Resize) -> None:
        self._limits = limits
        self._resize = resize
        self._budget = Budget(limits.max_decode_bytes)
        self._threads = ThreadPoolExecutor(
            os.cpu_count() or 1, thread_name_prefix="decode", initializer=lower_thread_priority
        )

    def submit(self, data: bytes, spec: PixelSpec) -> Future[Pixels]:
        """Pixels `(3, height, width)`; the future raises `InvalidInput` for what is no picture."""
        return self._threads.submit(self._decode, data, spec)

    def close(self) -> None:
        """Stop the threads; what waits is dropped."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _decode(self, data: bytes, spec: PixelSpec) -> Pixels:
        decoding = decode.decoded_within(self._budget, data, self._limits, at_least=_AT_LEAST)
        with decoding as decoded:
            return preprocessing.to_pixels(decoded.picture, spec, self._resize)
