"""Decodes the stored originals of images, to embed them with another model."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from petsearch.domain import Pixels, PixelSpec, object_keys
from petsearch.domain.errors import InvalidInput, NotFound
from petsearch.photos.decoders import Decoders
from petsearch.ports import ObjectStore
from petsearch.process_tuning import lower_thread_priority


class StoredPixels:
    """Decodes originals exactly as ingest does. Thread-safe."""

    def __init__(self, store: ObjectStore, decoders: Decoders, *, threads: int) -> None:
        self._store = store
        self._decoders = decoders
        self._threads = ThreadPoolExecutor(
            threads, thread_name_prefix="decode-stored", initializer=lower_thread_priority
        )

    def read(self, image_ids: Sequence[str], spec: PixelSpec) -> list[Pixels | str]:
        """The pixels of each image, or the reason why there are none.

        Raises:
            Unavailable: the object store does not answer.
        """
        return list(self._threads.map(lambda image_id: self._read(image_id, spec), image_ids))

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _read(self, image_id: str, spec: PixelSpec) -> Pixels | str:
        try:
            data = self._store.get(object_keys.original(image_id))
            return self._decoders.pixels(data, spec)
        except NotFound:
            return "Its original is not in the object store."
        except InvalidInput as error:
            return f"Its original cannot be decoded: {error.detail}"
