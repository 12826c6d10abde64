"""The files of a data set in a folder, listed here.

The library `datasets` takes files from the card of a data set (README.md), which may name files
outside the folder and URLs of many protocols. The card is not read; files are passed one by one.
"""

import glob
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from petsearch.domain.errors import InvalidInput

CheckFile = Callable[[str], object]
"""Called with the path of a file; raises `InvalidInput` if it may not be read."""

_PHOTOS = "jpg jpeg jpe jfif png apng webp gif bmp dib tif tiff"
_LOADERS = {
    "parquet": "parquet",
    "arrow": "arrow",
    "tar": "webdataset",
    "zip": "imagefolder",
    **dict.fromkeys(_PHOTOS.split(), "imagefolder"),
}
_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""Beside photos, about them."""


def folder_files(folder: Path, check: CheckFile) -> tuple[str, dict[str, list[str]]]:
    """The loader of `datasets` for the files of a folder, and these by split, as patterns.

    Splits are those that the names of files and folders tell, or all files are in `train`.

    Raises:
        InvalidInput: `check` rejects a file, or there is none that is read.
    """
    from datasets.data_files import DataFilesDict, get_data_patterns

    if not folder.is_dir():
        raise InvalidInput(f"{folder} is not a folder.")
    base = _plain(str(folder))
    patterns = get_data_patterns(base)
    found = DataFilesDict.from_patterns(patterns, base_path=base)
    loader = _loader_of(folder, (file for files in found.values() for file in files))
    kept = {
        split: [_pattern(file, check) for file in files if _is_read(file, loader)]
        for split, files in found.items()
    }
    return loader, {split: files for split, files in kept.items() if files}


def check_hub_files(name: str, files: Mapping[object, Iterable[object]]) -> None:
    """Check that a data set on the hub has its files there, and names no others in its card.

    Raises:
        InvalidInput: it names a file of this machine, or a URL.
    """
    for file in (str(file) for of_split in files.values() for file in of_split):
        if not file.startswith("hf://") or "::" in file:
            raise InvalidInput(f"The data set {name} names a file that is not its own: {file!r}.")


def _loader_of(folder: Path, files: Iterable[str]) -> str:
    loaders = Counter(_LOADERS.get(_suffix(file)) for file in files if not _is_metadata(file))
    del loaders[None]
    if not loaders:
        raise InvalidInput(
            f"The data set {folder} has no files that are read: parquet, arrow, tar, or photos."
        )
    return str(loaders.most_common(1)[0][0])


def _is_read(file: str, loader: str) -> bool:
    if _is_metadata(file):
        return loader == "imagefolder"
    return _LOADERS.get(_suffix(file)) == loader


def _is_metadata(file: str) -> bool:
    return Path(file).name in _METADATA


def _suffix(file: str) -> str:
    return Path(file).suffix.lower().removeprefix(".")


def _pattern(file: str, check: CheckFile) -> str:
    """The pattern that only this file matches."""
    check(_plain(file))
    return glob.escape(file)


def _plain(path: str) -> str:
    """The path, unless the library would read another one: `::` chains file systems and URLs.

    Raises:
        InvalidInput: it would, or it is not UTF-8, which the library cannot write down.
    """
    if "::" in path or "://" in path:
        raise InvalidInput(f"The data set has a file named {path[-200:]!r}; rename it.")
    if not path.isascii() and any("\udc80" <= letter <= "\udcff" for letter in path):
        raise InvalidInput(f"The name {path[-200:]!r} in the data set is not UTF-8; rename it.")
    return path
