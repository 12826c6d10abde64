"""Decoding beside the device, in processes of its own; threads wait for them."""

from concurrent.futures import Future, ThreadPoolExecutor

from petsearch.domain import Pixels, PixelSpec
from petsearch.photos import Decoders
from petsearch.process_tuning import lower_thread_priority

_AT_LEAST = 640
"""JPEGs may be decoded at a fraction of their size; no model needs more pixels than this."""


class Decoder:
    """Turns encoded pictures into pixels, in as many threads as there are processes."""

    def __init__(self, decoders: Decoders) -> None:
        self._decoders = decoders
        self._threads = ThreadPoolExecutor(
            decoders.processes, thread_name_prefix="decode", initializer=lower_thread_priority
        )

    def submit(self, data: bytes, spec: PixelSpec) -> Future[Pixels]:
        """Pixels `(3, height, width)`; the future raises `InvalidInput` for what is no picture."""
        return self._threads.submit(self._decoders.pixels, data, spec, at_least=_AT_LEAST)

    def close(self) -> None:
        """Stop the threads and processes; what waits is dropped."""
        self._decoders.close()
        self._threads.shutdown(wait=True, cancel_futures=True)
