"""The same picture in Display P3 and in sRGB is one photo to the model."""

import io
from pathlib import Path

from PIL import Image, ImageCms, ImageEnhance

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import image_id_of, sha256_of
from tests import icc, pictures
from tests.server import ServerProcess

LEAST = 0.995
P3 = icc.rgb_profile(icc.P3_PRIMARIES, icc.srgb_curve())


def test_a_picture_in_display_p3_is_similar_to_itself_in_srgb(
    shared: Path, real_photos: list[Path], tmp_path: Path
) -> None:
    profiles = (ImageCms.createProfile("sRGB"), ImageCms.ImageCmsProfile(io.BytesIO(P3)))
    started = ServerProcess(tmp_path, model=f"dir:{shared}/models/pets-base")
    assert started.address, started.log
    try:
        with Client(started.address) as client:
            for number, path in enumerate(real_photos[:3]):
                picture = ImageEnhance.Color(Image.open(path).convert("RGB")).enhance(2)
                wide = ImageCms.profileToProfile(picture, *profiles)
                assert wide is not None
                plain = pictures.encoded(picture, quality=95)
                p3 = pictures.encoded(wide, quality=95, icc_profile=P3)
                bare = pictures.encoded(wide, quality=95)
                photos = [Photo(f"{number}.jpg", data) for data in (plain, p3, bare)]
                upload(client, PhotoSource(iter(photos), 3), name="colours")
                hits = client.similar(image_id_of(sha256_of(plain)), limit=9)["items"]
                scores = {hit["image_id"]: hit["score"] for hit in hits}
                same, other = (scores[image_id_of(sha256_of(data))] for data in (p3, bare))
                assert same >= LEAST
                assert other < same, "without its profile it has other colours"
    finally:
        started.stop()
