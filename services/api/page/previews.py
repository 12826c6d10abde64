"""What chats and social sites show of a link to a photo: Open Graph tags in the page behind it.

They say what visitors without a key may see, whoever asks, and nothing of where the photo was taken
or what its file is called. Shared searches have no preview: their photo is not for everybody.
See https://ogp.me.
"""

import re
import string
from dataclasses import dataclass
from html import escape
from pathlib import Path

from starlette.datastructures import URL, QueryParams

from petsearch.app.services import Services
from petsearch.domain import ImageRecord, object_keys
from petsearch.domain.errors import NotFound

_TAGS = re.compile(r"( *<meta property=\"og:[^>]*>\n)+")
_IMAGE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOST_BYTES = 500_000
"""Of a picture: some chats leave out larger ones. The thumbnail is shown instead."""


def previewed_photo(query_string: bytes) -> str | None:
    """The photo that an address of the page shows; None where there is none to preview."""
    asked = QueryParams(query_string)
    photo = asked.get("photo", "")
    return photo if _IMAGE_ID.fullmatch(photo) and "shared" not in asked else None


@dataclass(frozen=True)
class Previews:
    """Writes the tags of a photo into the page."""

    services: Services
    page: Path
    """index.html"""

    @property
    def patience_s(self) -> float:
        """How long the page waits for what only previews show."""
        return self.services.settings.request_deadline_s

    def page_of(self, image_id: str, site: URL) -> str | None:
        """The page with the tags of a photo; None if there is nothing to show of it.

        Args:
            site: the address of the page as the caller knows it, ending in a slash.

        Raises:
            Unavailable: the index or the object store does not answer.
        """
        settings = self.services.settings
        if not (settings.anonymous_search or settings.allow_no_keys):
            return None
        try:
            record = self.services.images.get(image_id)
            picture = self._picture_of(image_id)
        except NotFound:
            return None
        title = title_of(record)
        tags = {
            "og:type": "article",
            "og:site_name": "petsearch",
            "og:url": f"{site}?photo={image_id}",
            "og:title": title,
            "og:description": description_of(record, settings.species_threshold),
            "og:image": f"{site}{picture}",
            "og:image:type": "image/jpeg",
            "og:image:alt": title,
        }
        lines = [f'    <meta property="{k}" content="{escape(v)}">\n' for k, v in tags.items()]
        # Of its own prefix: without it the picture would be small.
        lines.append('    <meta name="twitter:card" content="summary_large_image">\n')
        return _TAGS.sub(lambda _: "".join(lines), self.page.read_text("utf-8"), count=1)

    def _picture_of(self, image_id: str) -> str:
        display = self.services.images.file(object_keys.display(image_id))
        name = "display" if display.size_bytes <= _MOST_BYTES else "thumbnail"
        return f"v1/images/{image_id}/{name}"


def title_of(record: ImageRecord) -> str:
    """The breed, where it is no mere guess, and the status."""
    is_named = record.breed_source in ("label", "predicted")
    name = string.capwords(record.breed or "") if is_named else "Pet"
    return f"{name}, {record.metadata.status}" if record.metadata.status else name


def description_of(record: ImageRecord, species_threshold: float) -> str:
    """The species, where it is known, and when the photo was taken."""
    is_known = record.species_source(species_threshold) != "unsure"
    what = f"Photo of a {record.species}" if is_known else "Photo of a pet"
    day = f", taken on {record.taken_at:%Y-%m-%d}" if record.taken_at else ""
    return f"{what}{day}. Find pet photos by words or by photo."
