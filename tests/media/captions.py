"""H.264 with closed captions in its pictures, as American broadcasters send them."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

from tests.media.clips import ffmpeg, pattern, x264

_SLICE = re.compile(rb"\x00\x00\x00?\x01[\x61\x41\x01\x65]")  # start code and header of a picture

# ITU-T T.35 of ATSC A/53, part 4, section 6.2: country, provider, 'GA94', type 3, one pair of
# CEA-608 bytes ("delete to end of row", with parity) of field 1.
_MESSAGE = b"\xb5\x00\x31GA94\x03\x41\xff\xfc\x94\x24\xff"
_SEI = b"\x00\x00\x00\x01\x06\x04" + bytes([len(_MESSAGE)]) + _MESSAGE + b"\x80"


def captioned(directory: Path) -> Path:
    """MPEG-TS, 24 frames of 96x64, with a caption command before every picture."""
    plain, marked, out = (directory / name for name in ("plain.h264", "cc.h264", "captions.ts"))
    ffmpeg(*pattern(24, size="96x64"), *x264(bframes=0, extra="slices=1"), plain)
    data = plain.read_bytes()
    edges = [0, *(found.start() for found in _SLICE.finditer(data)), len(data)]
    parts = [data[a:b] for a, b in pairwise(edges)]
    marked.write_bytes(_SEI.join(parts))
    ffmpeg("-i", marked, "-c", "copy", out)
    return out
