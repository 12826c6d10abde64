"""Converts colours to sRGB: what a file's ICC profile, its nclx box or its PNG chunks declare.

Relative colorimetric with black point compensation, by LittleCMS. A profile that is broken or of
another colour model than the pixels is ignored, and so is one that changes nothing.
"""

import functools
import io
import math
import struct
from collections.abc import Callable
from typing import cast

import numpy as np
from PIL import Image, ImageCms

from petsearch.photos.boxes import Nclx

_Curve = Callable[[np.ndarray], np.ndarray]
Chromaticities = tuple[float, ...]
"""x and y of white, red, green and blue, as PNG's cHRM chunk orders them."""

_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOCACHE
_CURVE_POINTS = 4096
_KEPT_TRANSFORMS = 32
_SPACE = slice(16, 20)
"""Where a profile names its colour model."""
_MODES_OF_SPACE = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}
_D65 = (0.3127, 0.3290)
_SRGB = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_ADOBE_RGB = (*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
# ITU-T H.273, table 2: primaries that are not sRGB's.
_PRIMARIES: dict[int, Chromaticities] = {
    1: _SRGB,
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
_REFERENCE_WHITE_NITS = 203.0
"""What graphics white has in PQ and HLG, by ITU-R BT.2408."""


def to_srgb(picture: Image.Image, profile: bytes) -> Image.Image | None:
    """The 8-bit picture in sRGB, in mode RGB; None if `profile` cannot be used.

    The same picture is returned if the profile is sRGB by another name. A profile of RGB counts for
    a grey picture, as for RGB whose channels are equal. Alpha is not looked at.
    """
    mode = {"L": "L", "CMYK": "CMYK", "LAB": "LAB"}.get(picture.mode, "RGB")
    if mode == "L" and profile[_SPACE] == b"RGB ":
        mode = "RGB"
    try:
        transform = _transform(profile, mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, SyntaxError):
        return None
    if transform is None:
        return picture
    return transform.apply(picture if picture.mode == mode else picture.convert(mode))


def is_of_grey(profile: bytes) -> bool:
    """Whether a profile is of the colour model of greys."""
    return profile[_SPACE] == b"GRAY"


@functools.lru_cache(maxsize=_KEPT_TRANSFORMS)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From `profile` to sRGB; None if that changes no colour by more than a step.

    Raises:
        ValueError: the profile is of another colour model than `mode`.
    """
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if _MODES_OF_SPACE.get(source.profile.xcolor_space) != mode:
        raise ValueError(f"a profile of {source.profile.xcolor_space!r} for {mode}")
    transform = ImageCms.ImageCmsTransform(
        source,
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=_FLAGS,
    )
    return None if _changes_nothing(transform, mode) else transform


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    if mode not in ("RGB", "L"):
        return False
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    if mode == "L":
        probe = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    else:
        grid = np.stack(np.meshgrid(steps, steps, steps), -1)
        probe = Image.fromarray(grid.reshape(len(steps), -1, 3))
    before = np.asarray(probe.convert("RGB"), np.int16)
    after = np.asarray(transform.apply(probe), np.int16)
    return bool(np.abs(after - before).max() <= 1)


# --- profiles made of what PNG and HEIF declare ------------------------------------------------


def profile_of_png(gamma: float | None, chromaticities: Chromaticities | None) -> bytes | None:
    """The ICC profile that PNG's gAMA and cHRM chunks describe; None if there is neither.

    Args:
        gamma: of the file, such as 0.45455.
    """
    if gamma is None and chromaticities is None:
        return None
    if gamma is not None and gamma <= 0:
        return None
    # Programs that know sRGB write its nearest gamma, and mean sRGB.
    curve = (
        _srgb_to_linear if gamma is None or abs(gamma - 0.45455) < 0.002 else _power(1.0 / gamma)
    )
    return _matrix_profile(chromaticities or _SRGB, curve)


def profile_of_adobe_rgb() -> bytes | None:
    """The ICC profile of Adobe RGB (1998), which cameras may name without embedding it."""
    return _matrix_profile(_ADOBE_RGB, _ADOBE_CURVE)


def profile_of_nclx(nclx: Nclx) -> bytes | None:
    """The ICC profile of H.273 code points; None if they are unspecified or unknown.

    PQ and HLG are cut at reference white (203 cd/m² by ITU-R BT.2408), which becomes 255.
    """
    primaries = _PRIMARIES.get(nclx.primaries, _SRGB if nclx.primaries == 2 else None)
    curve = _CURVES.get(nclx.transfer)
    if primaries is None or curve is None:
        return None
    return _matrix_profile(primaries, curve)


def _power(exponent: float) -> _Curve:
    return lambda x: x**exponent


_ADOBE_CURVE = _power(563 / 256)


def _srgb_to_linear(x: np.ndarray) -> np.ndarray:
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def _pq_to_linear(x: np.ndarray) -> np.ndarray:
    # SMPTE ST 2084.
    root = x ** (1 / 78.84375)
    light = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
    return np.minimum(1.0, light ** (1 / 0.1593017578125) * 10_000 / _REFERENCE_WHITE_NITS)


def _hlg_to_linear(x: np.ndarray) -> np.ndarray:
    # ITU-R BT.2100 on a display of 1,000 cd/m², whose system gamma is 1.2.
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(x <= 0.5, x * x / 3, (np.exp((x - c) / a) + b) / 12)
    return np.minimum(1.0, scene**1.2 * 1_000 / _REFERENCE_WHITE_NITS)


# ITU-T H.273, table 3. Video's own curve (1, 6, 14, 15) is shown on displays of sRGB's, so
# pictures that declare it are meant for that one.
_CURVES: dict[int, _Curve] = {
    1: _srgb_to_linear,
    2: _srgb_to_linear,
    4: _power(2.2),
    5: _power(2.8),
    6: _srgb_to_linear,
    8: _power(1.0),
    13: _srgb_to_linear,
    14: _srgb_to_linear,
    15: _srgb_to_linear,
    16: _pq_to_linear,
    18: _hlg_to_linear,
}


@functools.lru_cache(maxsize=_KEPT_TRANSFORMS)
def _matrix_profile(chromaticities: Chromaticities, curve: _Curve) -> bytes | None:
    """A version 2 display profile (ICC.1:2001-04) of primaries and one curve for all channels."""
    try:
        columns = _adapted_primaries(chromaticities)
    except (np.linalg.LinAlgError, ZeroDivisionError):
        return None
    if not (np.abs(columns) < _XYZ_BELOW).all():
        return None
    tags = {b"wtpt": _xyz(_D50_XYZ)}
    points = (curve(np.linspace(0.0, 1.0, _CURVE_POINTS)) * 65535).round().astype(">u2").tobytes()
    table = b"curv" + bytes(4) + struct.pack(">I", _CURVE_POINTS) + points
    for name, column in zip((b"r", b"g", b"b"), columns.T, strict=True):
        tags[name + b"XYZ"] = _xyz(column)
        tags[name + b"TRC"] = table
    return _profile_of_tags(tags)


_D50_XYZ = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def _adapted_primaries(chromaticities: Chromaticities) -> np.ndarray:
    """XYZ of red, green and blue as columns, adapted to D50 by Bradford's matrix."""
    white, *primaries = [
        np.array([x / y, 1.0, (1 - x - y) / y])
        for x, y in zip(chromaticities[::2], chromaticities[1::2], strict=True)
    ]
    columns = np.stack(primaries, axis=1)
    columns = columns * np.linalg.solve(columns, white)
    gain = (_BRADFORD @ _D50_XYZ) / (_BRADFORD @ white)
    return cast(np.ndarray, np.linalg.inv(_BRADFORD) @ np.diag(gain) @ _BRADFORD @ columns)


_XYZ_BELOW = 1 << 15
"""What a profile can hold."""


def _xyz(values: np.ndarray) -> bytes:
    fixed = [math.floor(float(value) * 65536 + 0.5) for value in values]
    return b"XYZ " + bytes(4) + struct.pack(">3i", *fixed)


def _profile_of_tags(tags: dict[bytes, bytes]) -> bytes:
    start = 128 + 4 + 12 * len(tags)
    directory, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        directory += name + struct.pack(">2I", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = start + len(body)
    header = struct.pack(">I4xI4s4s4s", size, 0x02400000, b"mntr", b"RGB ", b"XYZ ") + bytes(12)
    header += b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + directory + body
