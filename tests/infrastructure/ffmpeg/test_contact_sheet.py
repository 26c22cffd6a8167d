"""The sheet is read back with another decoder than it was written with, pixel by pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from drapto.core.errors import DraptoError, InputError
from drapto.core.media import CropRect
from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.contact_sheet import CAPTION_PX, GAP_PX, LINE, PngSheets
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from tests.media import clips

Page = npt.NDArray[np.uint8]  # (height, width, 3), blue green red


async def opened(path: Path, scratch: Path) -> SourceVideo:
    reader = PyAvReader()
    media = await reader.probe(path)
    return await reader.open_video(media, reader.main_video(media), scratch)


def read_png(path: Path, size: tuple[int, int]) -> Page:
    """By ffmpeg, which knows nothing of OpenCV."""
    raw = path.with_suffix(".bgr")
    clips.ffmpeg("-i", path, "-f", "rawvideo", "-pix_fmt", "bgr24", raw)
    width, height = size
    return np.frombuffer(raw.read_bytes(), np.uint8).reshape(height, width, 3)


def is_line(pixels: npt.NDArray[np.uint8]) -> bool:
    return bool((pixels == np.array(LINE)).all())


def page_size(tiles: int, width: int, height: int) -> tuple[int, int]:
    columns = min(4, tiles)
    rows = -(-tiles // columns)
    return (
        GAP_PX + columns * (width + GAP_PX),
        GAP_PX + rows * (height + CAPTION_PX + GAP_PX),
    )


async def test_the_line_lies_on_the_outermost_pixels_that_are_kept(tmp_path: Path) -> None:
    video = await opened(clips.letterboxed(tmp_path, bar=24), tmp_path)
    crop = CropRect(width=320, height=132, x=0, y=24)
    out = tmp_path / "sheet.png"
    await PngSheets()(video, (3, 20, 40, 60, 70), crop, out)
    page = read_png(out, page_size(5, 320, 180))
    for column in range(4):
        left = GAP_PX + column * (320 + GAP_PX)
        still = page[GAP_PX : GAP_PX + 180, left : left + 320]
        assert is_line(still[24]) and is_line(still[24 + 132 - 1])
        assert is_line(still[24:156, 0]) and is_line(still[24:156, 319])
        assert not is_line(still[23]) and not is_line(still[25, 1:-1])
        assert not is_line(still[156]) and not is_line(still[154, 1:-1])
        bars = still[:24].reshape(-1, 3).mean(axis=0)
        assert bars[2] > 60 > 20 > bars[1]  # tinted red: this would be cut off


async def test_a_wide_picture_is_made_smaller_and_the_line_with_it(tmp_path: Path) -> None:
    path = tmp_path / "wide.mkv"
    clips.ffmpeg(*clips.pattern(12, size="960x540"), *clips.x264(), path)
    video = await opened(path, tmp_path)
    out = tmp_path / "sheet.png"
    await PngSheets()(video, (5,), CropRect(width=960, height=400, x=0, y=70), out)
    still = read_png(out, page_size(1, 480, 270))[GAP_PX : GAP_PX + 270, GAP_PX : GAP_PX + 480]
    assert is_line(still[35]) and is_line(still[35 + 200 - 1])
    assert not is_line(still[34]) and not is_line(still[36, 1:-1])


async def test_without_a_crop_the_stills_are_the_frames_themselves(tmp_path: Path) -> None:
    path = clips.silent(tmp_path)
    video = await opened(path, tmp_path)
    out = tmp_path / "sheet.png"
    await PngSheets()(video, (0, 40), None, out)
    page = read_png(out, page_size(2, 320, 180))
    for number, left in ((0, GAP_PX), (40, 2 * GAP_PX + 320)):
        still = page[GAP_PX : GAP_PX + 180, left : left + 320].astype(int)
        png = tmp_path / f"{number}.png"
        clips.ffmpeg("-i", path, "-vf", rf"select=eq(n\,{number})", "-frames:v", "1", png)
        assert np.abs(still - read_png(png, (320, 180))).mean() < 2


async def test_a_sheet_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    video = await opened(clips.silent(tmp_path), tmp_path)
    with pytest.raises(DraptoError, match=r"contact sheet .*nowhere"):
        await PngSheets()(video, (0,), None, tmp_path / "nowhere" / "sheet.png")


async def test_a_sheet_of_a_film_that_is_gone_is_not_begun(tmp_path: Path) -> None:
    path = clips.silent(tmp_path)
    video = await opened(path, tmp_path)
    path.unlink()
    with pytest.raises(InputError):
        await PngSheets()(video, (0,), None, tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()
