"""Any picture as RGB with 8 bits a channel, in sRGB, on a background where it is transparent.

Strip by strip: a whole picture in another mode, or its floats, may not fit into memory.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, TiffImagePlugin

from petsearch.photos import colour, pages

_STRIP_PIXELS = 250_000
_BITS_PER_SAMPLE, _MAX_SAMPLE, _SAMPLE_FORMAT = 258, 281, 339
_UNSIGNED = 1
_12_BITS, _16_BITS = 4095, 65535
_SAMPLE_SIDE = 128
_ROUNDING = 1
"""What the channels of a grey differ by in a lossy WebP."""
_WHITE, _DARK = (255, 255, 255), (64, 64, 64)
_LIGHT_ABOVE = 176
"""Mean luminance of what is opaque from which a white background would hide it."""
_LEAST_TRANSPARENT = 0.02
"""Share of a picture that must be transparent before its background is anything but white."""
_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")

Alpha = Literal["none", "ignored", "used"]


@dataclass(frozen=True)
class _Stored:
    """What the samples of a loaded picture mean where its mode does not say it."""

    is_associated: bool = False
    """Whether RGBA holds colours that are multiplied with alpha."""
    is_unsigned: bool = False
    """Of greys of 32 bits: whether what looks negative is large."""
    white: float = 255.0
    """Of deep greys: the value that becomes 255."""
    is_negative: bool = False
    """Of deep greys: whether 0 is white."""
    transparent: int | None = None
    """Of deep greys: the value that is transparent."""


@dataclass(frozen=True)
class _Tones:
    """How the pixels of a loaded picture become 8-bit RGB."""

    stored: "_Stored"
    alpha: Alpha
    background: tuple[int, int, int]
    to_srgb: Callable[[Image.Image], Image.Image]


def scale_colour_key(picture: Image.Image, bits: int) -> None:
    """Bring the colour that is transparent to 8 bits, as Pillow does with the samples of a PNG.

    Pillow leaves it in RGB of 16 `bits`, and in greys of 2 and 4.
    """
    colour_key = picture.info.get("transparency")
    if bits == 16 and isinstance(colour_key, tuple):
        picture.info["transparency"] = tuple(value >> 8 for value in colour_key)
    elif bits in (2, 4) and isinstance(colour_key, int) and picture.mode == "L":
        most = (1 << bits) - 1
        picture.info["transparency"] = (colour_key & most) * 255 // most


def to_rgb(
    picture: Image.Image,
    factor: int = 1,
    *,
    profile: bytes | None = None,
    is_negative: bool = False,
) -> tuple[Image.Image, bool]:
    """RGB, 8 bits a channel, and whether `profile` could be used.

    Deep greys are scaled, CMYK and other colour models are converted. Transparency goes on white,
    or on dark grey if what is opaque is light; an alpha channel that is 0 everywhere is ignored.

    Args:
        factor: squares of so many pixels a side are averaged into one.
        profile: ICC profile of the colours.
        is_negative: whether 0 is white in a picture of more than 8 bits.
    """
    used = True
    is_grey = profile is not None and colour.is_of_grey(profile) and _is_colourless(picture)

    def to_srgb(strip: Image.Image) -> Image.Image:
        nonlocal used
        if is_grey and strip.mode == "RGB":
            strip = strip.convert("L")
        converted = colour.to_srgb(strip, profile) if profile is not None else strip
        used = used and converted is not None
        result = converted or strip
        return result if result.mode == "RGB" else result.convert("RGB")

    if picture.mode == "RGB" and factor == 1 and not _has_transparency(picture):
        return to_srgb(picture), used
    tones = _tones_of(picture, to_srgb, is_negative=is_negative)
    width, height = picture.size
    result = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    for top, strip in _strips(picture, factor):
        result.paste(_strip_to_rgb(strip, tones).reduce(factor), (0, top // factor))
    return result, used


def _is_colourless(picture: Image.Image) -> bool:
    """Whether it is of RGB, and the channels of each pixel are equal but for rounding."""
    if _is_deep(picture) or picture.mode in ("L", "LA", "La", "CMYK", "LAB"):
        return False
    pixels = (np.asarray(strip.convert("RGB")) for _, strip in _strips(picture))
    return all(int(np.ptp(strip, axis=-1).max()) <= _ROUNDING for strip in pixels)


def _tones_of(
    picture: Image.Image, to_srgb: Callable[[Image.Image], Image.Image], *, is_negative: bool
) -> _Tones:
    stored = _stored(picture, is_negative=is_negative)
    return _Tones(stored, *_alpha_of(picture, stored), to_srgb)


def _strip_to_rgb(strip: Image.Image, tones: _Tones) -> Image.Image:
    strip = _as_8_bits(strip, tones.stored)
    if tones.alpha == "none":
        # Profiles are for these modes: grey, CMYK, Lab and RGB stay as they are.
        if strip.mode in ("L", "CMYK", "LAB", "RGB"):
            return tones.to_srgb(strip)
        return tones.to_srgb(strip.convert("L" if strip.mode == "1" else "RGB"))
    if tones.alpha == "ignored":
        return tones.to_srgb(_without_alpha(strip))
    rgba = strip.convert("RGBA")
    result = Image.new("RGB", strip.size, tones.background)
    opaque = strip.getchannel("L") if strip.mode == "LA" else rgba.convert("RGB")
    result.paste(tones.to_srgb(opaque), mask=rgba.getchannel("A"))
    return result


def _without_alpha(strip: Image.Image) -> Image.Image:
    if strip.mode == "LA":
        return strip.getchannel("L")
    strip.info.pop("transparency", None)
    return strip.convert("RGB")


# --- samples that Pillow's modes do not describe -------------------------------------------------


def _is_deep(picture: Image.Image) -> bool:
    return picture.mode in ("I", "F") or picture.mode.startswith("I;16")


def _stored(picture: Image.Image, *, is_negative: bool) -> _Stored:
    if not _is_deep(picture):
        return _Stored(is_associated=pages.holds_associated_alpha(picture))
    transparent = picture.info.get("transparency")
    has_no_sign = _tag(picture, _SAMPLE_FORMAT) in (None, _UNSIGNED)
    is_unsigned = has_no_sign and _tag(picture, _BITS_PER_SAMPLE) == 32
    return _Stored(
        is_unsigned=is_unsigned,
        white=_white_of(picture, is_unsigned=is_unsigned),
        is_negative=is_negative,
        transparent=transparent if isinstance(transparent, int) else None,
    )


def _as_8_bits(strip: Image.Image, stored: _Stored) -> Image.Image:
    """In a mode that says what its samples mean."""
    if stored.is_associated:
        strip = Image.frombytes("RGBa", strip.size, strip.tobytes())
    if strip.mode in ("RGBa", "La"):
        # Where alpha is 0, the colours stay.
        return strip.convert(strip.mode.upper())
    if not _is_deep(strip):
        return strip
    raw = _numbers(strip, is_unsigned=stored.is_unsigned)
    values = np.nan_to_num(raw.clip(0.0, stored.white)) * (255.0 / stored.white)
    if stored.is_negative:
        values = 255.0 - values
    grey = Image.fromarray(values.round().astype(np.uint8))
    if stored.transparent is None:
        return grey
    alpha = Image.fromarray(((raw != stored.transparent) * 255).astype(np.uint8))
    return Image.merge("LA", (grey, alpha))


def _numbers(strip: Image.Image, *, is_unsigned: bool) -> np.ndarray:
    whole = np.asarray(strip)
    return (whole.view(np.uint32) if is_unsigned else whole).astype(np.float32)


def _white_of(picture: Image.Image, *, is_unsigned: bool) -> float:
    """The value that becomes white: declared, or found in the picture."""
    declared = _tag(picture, _MAX_SAMPLE)
    if declared and picture.mode != "F":
        return float(declared)
    # Pillow's `getextrema` knows no big-endian greys.
    parts = (_numbers(strip, is_unsigned=is_unsigned) for _, strip in _strips(picture))
    top = max(float(part.max(initial=0.0, where=np.isfinite(part))) for part in parts)
    if picture.mode == "F":
        # Floats say no range.
        return max(1.0, top)
    if _tag(picture, _BITS_PER_SAMPLE) == 12 or (picture.mode != "I" and top <= _12_BITS):
        # 16 bits that use 12 of them are what scanners write; nothing says so.
        return float(_12_BITS)
    return max(float(_16_BITS), top)


def _tag(picture: Image.Image, number: int) -> int | None:
    """The first value of a TIFF tag; None for other formats."""
    if not isinstance(picture, TiffImagePlugin.TiffImageFile):
        return None
    value = picture.tag_v2.get(number)
    value = value[0] if isinstance(value, tuple) and value else value
    return int(value) if isinstance(value, int) else None


# --- transparency --------------------------------------------------------------------------------


def _has_transparency(picture: Image.Image) -> bool:
    return picture.mode in _ALPHA_MODES or "transparency" in picture.info


def _alpha_of(picture: Image.Image, stored: _Stored) -> tuple[Alpha, tuple[int, int, int]]:
    """What alpha is good for, and what goes behind the picture."""
    if not _has_transparency(picture):
        return "none", _WHITE
    if _is_nowhere_opaque(picture, stored):
        return "ignored", _WHITE
    step = max(1, *(side // _SAMPLE_SIDE for side in picture.size))
    small = picture.resize(
        (max(1, picture.width // step), max(1, picture.height // step)), Image.Resampling.NEAREST
    )
    small.info.update({k: v for k, v in picture.info.items() if k == "transparency"})
    rgba = np.asarray(_as_8_bits(small, stored).convert("RGBA"), np.float32)
    alpha = rgba[..., 3] / 255.0
    light = rgba[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)
    mean = float((light * alpha).sum() / max(1e-6, float(alpha.sum())))
    is_cut_out = float((alpha < 0.5).mean()) > _LEAST_TRANSPARENT
    return "used", _DARK if is_cut_out and mean > _LIGHT_ABOVE else _WHITE


def _is_nowhere_opaque(picture: Image.Image, stored: _Stored) -> bool:
    strips = (_as_8_bits(strip, stored) for _, strip in _strips(picture))
    alphas = (strip.convert("RGBA").getchannel("A") for strip in strips)
    return all(alpha.getextrema() == (0, 0) for alpha in alphas)


def _strips(picture: Image.Image, factor: int = 1) -> Iterator[tuple[int, Image.Image]]:
    """Parts of the picture over its whole width, of whole squares of `factor`; and their tops."""
    width, height = picture.size
    rows = factor * max(1, _STRIP_PIXELS // (width * factor))
    for top in range(0, height, rows):
        yield top, picture.crop((0, top, width, min(height, top + rows)))
