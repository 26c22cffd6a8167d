"""A page of stills with the crop drawn in: what would be cut off, seen before it is.

    await PngSheets()(video, frames=(12, 480, 990), crop=CropRect(…), out=Path("sheet.png"))

What is kept is framed by a line on its outermost pixels, and what would be cut off is tinted.
Pictures are as they are stored: not turned, pixels taken for square, HDR not mapped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.from_thread
import anyio.to_thread
import numpy as np
import numpy.typing as npt

from drapto.core.errors import InputError
from drapto.core.media import CropRect
from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.pictures import stretch_of_pictures
from drapto.infrastructure.files import translate, write_atomically

if TYPE_CHECKING:
    import av

Image = npt.NDArray[np.uint8]  # (height, width, 3), blue green red

COLUMNS = 4
WIDEST_PX = 480  # of a still; smaller pictures are not enlarged
GAP_PX, CAPTION_PX = 8, 20
LINE = (0, 255, 255)  # yellow: seldom in a picture, never in a bar
_TINT, _TINT_SHARE = (0, 0, 160), 0.5
_MODE = 0o666  # less what the user's umask takes
_BACKGROUND, _TEXT = 24, (210, 210, 210)


class PngSheets:
    """`core/estimate.py: SheetMaker`."""

    async def __call__(
        self, video: SourceVideo, frames: Sequence[int], crop: CropRect | None, out: Path
    ) -> None:
        """Errors: InputError if none of the frames can be decoded; ResourceError, PublishError."""
        drawing = partial(_draw, video, frames, crop, anyio.from_thread.check_cancelled)
        png = await anyio.to_thread.run_sync(drawing)
        try:
            await anyio.to_thread.run_sync(partial(write_atomically, out, png, mode=_MODE))
        except OSError as error:
            raise translate(error, f"The contact sheet {out} cannot be written") from error


def _draw(
    video: SourceVideo, frames: Sequence[int], crop: CropRect | None, check: Callable[[], None]
) -> bytes:
    import cv2

    tiles = []
    for frame in frames:
        check()
        picture = next(stretch_of_pictures(video, frame, frame + 1, threads=1), None)
        if picture is not None:
            tiles.append(_tile(_still(video, picture.frame), crop, _clock(video, frame)))
    if not tiles:
        raise InputError(f"{video.origin.path}: no frame for the contact sheet can be decoded.")
    _, png = cv2.imencode(".png", _page(tiles))
    return png.tobytes()


def _still(video: SourceVideo, frame: av.VideoFrame) -> Image:
    """At the size of the track, in which the crop counts."""
    width, height = video.track.width or frame.width, video.track.height or frame.height
    still = frame.reformat(width=width, height=height, format="bgr24").to_ndarray()
    return still.astype(np.uint8, copy=False)


def _tile(still: Image, crop: CropRect | None, caption: str) -> Image:
    import cv2

    scale = min(1.0, WIDEST_PX / still.shape[1])
    width, height = (max(1, round(side * scale)) for side in (still.shape[1], still.shape[0]))
    small = cv2.resize(still, (width, height), interpolation=cv2.INTER_AREA)
    image: Image = np.ascontiguousarray(small, dtype=np.uint8)
    if crop is not None:
        left, top = round(crop.x * scale), round(crop.y * scale)
        right = round((crop.x + crop.width) * scale) - 1
        bottom = round((crop.y + crop.height) * scale) - 1
        tinted = image * (1 - _TINT_SHARE) + np.array(_TINT) * _TINT_SHARE
        tinted[top : bottom + 1, left : right + 1] = image[top : bottom + 1, left : right + 1]
        image = tinted.astype(np.uint8)
        cv2.rectangle(image, (left, top), (right, bottom), LINE, 1)
    strip = np.full((CAPTION_PX, width, 3), _BACKGROUND, dtype=np.uint8)
    at = (2, CAPTION_PX - 6)
    cv2.putText(strip, caption, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, _TEXT, 1, cv2.LINE_AA)
    return np.vstack([image, strip])


def _page(tiles: Sequence[Image]) -> Image:
    height, width = tiles[0].shape[:2]
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    size = (rows * (height + GAP_PX) + GAP_PX, columns * (width + GAP_PX) + GAP_PX, 3)
    page: Image = np.full(size, _BACKGROUND, dtype=np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        top, left = GAP_PX + row * (height + GAP_PX), GAP_PX + column * (width + GAP_PX)
        page[top : top + height, left : left + width] = tile
    return page


def _clock(video: SourceVideo, frame: int) -> str:
    whole = round(video.coded.time_s(frame))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}  frame {frame}"
