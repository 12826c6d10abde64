"""ICC profiles that tests make: matrix profiles of version 2 and 4 (ICC.1:2010) and tables."""

import struct

import numpy as np

SRGB_PRIMARIES = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
P3_PRIMARIES = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
ADOBE_PRIMARIES = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
PROPHOTO_PRIMARIES = (0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001)
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_D50 = np.array([0.9642, 1.0, 0.8249])


def gamma(value: float) -> bytes:
    """A curve of one exponent."""
    return b"curv" + bytes(4) + struct.pack(">IHxx", 1, round(value * 256))


def srgb_curve() -> bytes:
    """sRGB's curve as parameters, which only version 4 has."""
    numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    return b"para" + bytes(4) + struct.pack(">H2x5i", 3, *(round(n * 65536) for n in numbers))


def rgb_profile(primaries: tuple[float, ...], curve: bytes, *, version: int = 4) -> bytes:
    """A display profile of white, red, green and blue (x and y of each) and one curve."""
    white, *rest = [
        np.array([x / y, 1.0, (1 - x - y) / y])
        for x, y in zip(primaries[::2], primaries[1::2], strict=True)
    ]
    columns = np.stack(rest, axis=1)
    columns = columns * np.linalg.solve(columns, white)
    cone = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
    columns = np.linalg.inv(_BRADFORD) @ cone @ _BRADFORD @ columns
    tags = {b"wtpt": _xyz(_D50)}
    for name, column in zip((b"r", b"g", b"b"), columns.T, strict=True):
        tags |= {name + b"XYZ": _xyz(column), name + b"TRC": curve}
    return _profile(tags, b"RGB ", version)


def grey_profile(curve: bytes, *, version: int = 4) -> bytes:
    """A grey profile of one curve."""
    return _profile({b"wtpt": _xyz(_D50), b"kTRC": curve}, b"GRAY", version)


def cmyk_profile() -> bytes:
    """A printer's profile: a table of 2 grid points a channel, from ink to Lab."""
    grid = np.stack(np.meshgrid(*[[0.0, 1.0]] * 4, indexing="ij"), -1).reshape(-1, 4)
    rgb = (1 - grid[:, :3] * 0.9) * (1 - grid[:, 3:] * 0.95)
    light = rgb @ np.array([0.30, 0.59, 0.11])
    lab = np.stack([light, (rgb[:, 0] - rgb[:, 1]) * 0.3, (rgb[:, 1] - rgb[:, 2]) * 0.3], 1)
    encoded = np.clip(lab * [65280, 32768, 32768] + [0, 32768, 32768], 0, 65535).astype(">u2")
    identity = b"".join(struct.pack(">HH", 0, 65535) for _ in range(4))
    out = b"".join(struct.pack(">HH", 0, 65535) for _ in range(3))
    matrix = struct.pack(">9i", *(round(v * 65536) for v in np.eye(3).ravel()))
    table = b"mft2" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + struct.pack(">HH", 2, 2)
    table += identity + encoded.tobytes() + out
    tags = {b"wtpt": _xyz(_D50), b"A2B0": table, b"A2B1": table}
    return _profile(tags, b"CMYK", 2, kind=b"prtr", space=b"Lab ")


def _xyz(values: np.ndarray) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(float(v) * 65536) for v in values))


def _profile(
    tags: dict[bytes, bytes],
    colours: bytes,
    version: int,
    *,
    kind: bytes = b"mntr",
    space: bytes = b"XYZ ",
) -> bytes:
    at = 132 + 12 * len(tags)
    directory, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        directory += name + struct.pack(">II", at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4xI4s4s4s12x4s28x3i", at + len(body), version << 24, kind, colours, space,
                       b"acsp", 63190, 65536, 54061)  # fmt: skip
    return head.ljust(128, b"\0") + directory + body
