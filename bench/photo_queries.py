"""Queries by photo: altered copies, several photos as one query, and a second stage (ADR 51).

`python -m bench.photo_queries --model dir:MODEL --dataset FOLDER` on the test split. No data set
here shows one animal on several occasions, so nothing is said about individuals: altered copies
measure whether the *same photo* is found again, and breeds whether *similar animals* are.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.altered_photos import ALTERATIONS, altered, embed, load_pictures, mean_of, regions_of
from bench.real_photos import RealPhotos, load_photos
from bench.shared_data import DATASET, MODEL, load_clip
from petsearch.calibration.resampling import Resampling, estimate, estimate_difference
from petsearch.calibration.resampling import mean_of as mean
from petsearch.domain import Embeddings

if TYPE_CHECKING:
    from bench.altered_photos import Picture
    from petsearch.adapters.clip.model import OpenClipModel

EVERY = 20
"""Of the photos, one in so many is altered."""
SIMILAR = 0.93
"""The cosine of the duplicates' tier `similar` (ADR 11)."""
_PHOTOS = 5
"""Of an animal's breed, as one query."""
_K = 10
_COAT_WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.4)
_RERANKED = 50

_Values = NDArray[np.float64]


def main(
    *,
    model: Annotated[str, typer.Option(help="dir:<open_clip folder>.")] = MODEL,
    dataset: Annotated[str, typer.Option()] = DATASET,
    cache: Annotated[Path | None, typer.Option(help="Folder to keep embeddings in.")] = None,
) -> None:
    """Measure and print."""
    clip = load_clip(model, dataset)
    photos = load_photos(clip, dataset=dataset, cache=cache)
    console = Console(width=120)
    console.print(several_photos(photos))
    pictures = load_pictures(dataset, EVERY)
    chosen = np.arange(0, len(photos.breeds), EVERY)
    console.print(same_photo(clip, pictures, photos.embeddings, chosen))
    console.print(second_stage(clip, pictures, photos, chosen))


def same_photo(
    clip: "OpenClipModel",
    pictures: Sequence["Picture"],
    gallery: Embeddings,
    chosen: NDArray[np.intp],
) -> Table:
    """How altered copies are found among all photos."""
    title = f"The same photo, altered: {len(chosen)} photos among {len(gallery)}"
    columns = ("copy", "cosine: median", "lowest 5 %", f"at least {SIMILAR}", "first", "in five")
    table = Table(*columns, title=title)
    for name, alteration in ALTERATIONS.items():
        rows = embed(clip, altered(pictures, alteration))
        table.add_row(name, *_found(rows, gallery, chosen))
    parts = [embed(clip, altered(pictures, ALTERATIONS["cropped to 40 %"], s)) for s in (7, 8)]
    table.add_row("two crops to 40 %, one query", *_found(mean_of(parts), gallery, chosen))
    others = gallery[chosen] @ gallery.T
    others[np.arange(len(chosen)), chosen] = -1.0
    near = others.max(axis=1)
    quantiles = [f"{value:.3f}" for value in np.quantile(near, (0.5, 0.05))]
    table.add_row(
        "(the nearest other photo)", *quantiles, f"{(near >= SIMILAR).mean():.0%}", "", ""
    )
    return table


def _found(rows: Embeddings, gallery: Embeddings, chosen: NDArray[np.intp]) -> list[str]:
    scores = rows @ gallery.T
    own = scores[np.arange(len(chosen)), chosen]
    rank = (scores > own[:, None]).sum(axis=1)
    median, low = np.quantile(own, (0.5, 0.05))
    shares = ((own >= SIMILAR).mean(), (rank < 1).mean(), (rank < 5).mean())
    return [f"{median:.3f}", f"{low:.3f}", *(f"{share:.0%}" for share in shares)]


def several_photos(photos: RealPhotos) -> Table:
    """Groups of photos of one breed: the first, or the first few of them, as one query."""
    groups = np.array([*_groups(photos.breeds)])
    title = f"Several photos as one query: {len(groups)} groups, left out of the results"
    columns = ("photos in the query", f"same-breed P@{_K}", "difference to one photo", "mAP")
    table = Table(*columns, title=title)
    one = None
    for count in (1, 2, 3, _PHOTOS):
        queries = mean_of([photos.embeddings[groups[:, n]] for n in range(count)])
        precision, average = _quality(queries, photos, groups)
        one = precision if one is None else one
        gain = estimate_difference(mean(precision), mean(one), Resampling())
        table.add_row(
            str(count),
            f"{precision.mean():.3f}",
            "" if count == 1 else f"{gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]",
            f"{average.mean():.3f}",
        )
    return table


def _groups(breeds: NDArray[np.str_]) -> Iterator[NDArray[np.intp]]:
    random = np.random.default_rng(9)
    for breed in np.unique(breeds):
        members = random.permutation(np.flatnonzero(breeds == breed))
        for start in range(0, len(members) - 2 * _PHOTOS, _PHOTOS):
            yield members[start : start + _PHOTOS]


def _quality(
    queries: Embeddings, photos: RealPhotos, left_out: NDArray[np.intp], coat: _Values | None = None
) -> tuple[_Values, _Values]:
    """Precision at k and average precision of each query; `left_out` `(queries, m)` are no results.

    `coat` `(queries, photos)` is taken off the scores of the best results.
    """
    scores = (queries @ photos.embeddings.T).astype(np.float64)
    np.put_along_axis(scores, left_out, -np.inf, axis=1)
    if coat is not None:
        best = np.argsort(-scores, axis=1, kind="stable")[:, :_RERANKED]
        kept = np.take_along_axis(scores, best, 1) - np.take_along_axis(coat, best, 1)
        np.put_along_axis(scores, best, kept + 2.0, axis=1)
    right = photos.breeds[left_out[:, :1]] == photos.breeds[None, :]
    order = np.argsort(-scores, axis=1, kind="stable")[:, : -left_out.shape[1]]
    ranked = np.take_along_axis(right, order, axis=1)
    at = ranked.cumsum(axis=1) / np.arange(1, ranked.shape[1] + 1)
    return at[:, _K - 1], (at * ranked).sum(axis=1) / ranked.sum(axis=1)


def second_stage(
    clip: "OpenClipModel",
    pictures: Sequence["Picture"],
    photos: RealPhotos,
    chosen: NDArray[np.intp],
) -> Table:
    """More parts of the query photo, and the coat's colour for the first results."""
    whole = photos.embeddings[chosen]
    away = chosen[:, None]
    base, average = _quality(whole, photos, away)
    held = estimate(mean(base), Resampling())
    title = f"A second stage: {len(chosen)} photos, without themselves"
    table = Table("query", f"same-breed P@{_K}", "difference", "mAP", title=title)
    table.add_row(
        "photo", f"{held.value:.3f} [{held.low:.3f}, {held.high:.3f}]", "", f"{average.mean():.3f}"
    )
    parts = mean_of([embed(clip, part) for part in regions_of(pictures)])
    tried = {f"mean of {len(regions_of(pictures[:1]))} parts": (parts, None)}
    distance = np.linalg.norm(photos.coats[chosen][:, None] - photos.coats[None], axis=2)
    for weight in _COAT_WEIGHTS[1:]:
        tried[f"coat, weight {weight}"] = (whole, weight * distance)
    for name, (queries, coat) in tried.items():
        precision, average = _quality(queries, photos, away, coat)
        gain = estimate_difference(mean(precision), mean(base), Resampling())
        table.add_row(
            name,
            f"{precision.mean():.3f}",
            f"{gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]",
            f"{average.mean():.3f}",
        )
    return table


if __name__ == "__main__":
    typer.run(main)
