"""Reads the pictures that the browser takes: PNG, 8 bits a channel, as Chromium writes them."""

import struct
import zlib
from collections import Counter
from dataclasses import dataclass

Colour = tuple[int, ...]


@dataclass
class Picture:
    """`rows` of colours (red, green, blue)."""

    rows: list[list[Colour]]

    @property
    def colours(self) -> Counter[Colour]:
        return Counter(colour for row in self.rows for colour in row)

    def differing(self, other: "Picture") -> int:
        """How many pixels are of another colour in the other picture, which has the same size."""
        pairs = zip(self.rows, other.rows, strict=True)
        return sum(a != b for mine, theirs in pairs for a, b in zip(mine, theirs, strict=True))


def read(png: bytes) -> Picture:
    """Raises ValueError for a kind of PNG that Chromium does not write."""
    position, data = 8, b""
    width = height = channels = 0
    while position < len(png):
        length, kind = struct.unpack(">I4s", png[position : position + 8])
        body = png[position + 8 : position + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour, *_rest = struct.unpack(">IIBBBBB", body)
            channels = {2: 3, 6: 4}.get(colour, 0)
            if depth != 8 or not channels:
                raise ValueError(f"depth {depth}, colour {colour}")
        elif kind == b"IDAT":
            data += body
        position += 12 + length
    return Picture(_rows(zlib.decompress(data), width, height, channels))


def _rows(raw: bytes, width: int, height: int, channels: int) -> list[list[Colour]]:
    stride, before, rows = width * channels, bytes(width * channels), []
    for number in range(height):
        start = number * (stride + 1)
        before = _unfiltered(raw[start], bytearray(raw[start + 1 : start + 1 + stride]), before, channels)
        rows.append([tuple(before[at : at + 3]) for at in range(0, stride, channels)])
    return rows


def _unfiltered(kind: int, line: bytearray, above: bytes, step: int) -> bytes:
    """One line as it is (PNG, section 9)."""
    for at in range(len(line)):
        left = line[at - step] if at >= step else 0
        corner = above[at - step] if at >= step else 0
        line[at] = (
            line[at] + (0, left, above[at], (left + above[at]) // 2, _paeth(left, above[at], corner))[kind]
        ) & 255
    return bytes(line)


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((left, up, corner), key=lambda one: abs(guess - one))
