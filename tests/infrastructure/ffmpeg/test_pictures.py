"""A stretch of a film is, frame for frame, what a whole decode shows there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from drapto.core.errors import InputError
from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.luma import PyAvLumaReader
from drapto.infrastructure.ffmpeg.pictures import stretch_of_pictures
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from tests.media import clips

BUILDERS: tuple[Callable[[Path], Path], ...] = (
    clips.simple,
    clips.open_gop,
    clips.open_gop_hevc,
    clips.start_offset,
    clips.edit_list,
    clips.vfr,
    clips.ts,
)


async def opened(path: Path, scratch: Path) -> SourceVideo:
    reader = PyAvReader()
    media = await reader.probe(path)
    return await reader.open_video(media, reader.main_video(media), scratch)


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
async def test_a_stretch_is_what_a_whole_decode_shows_there(
    build: Callable[[Path], Path], tmp_path: Path
) -> None:
    video = await opened(build(tmp_path), tmp_path / "scratch")
    reader = PyAvLumaReader(threads=2)
    whole = [(f.pts, f.full.copy()) for f in reader.frames(video, max_height=144)]
    length = len(video.coded)
    for start, end in ((0, 5), (length // 2 - 3, length // 2 + 9), (length - 4, length)):
        got = [
            (f.number, f.pts, f.full.copy())
            for f in reader.stretch(video, start, end, max_height=144)
        ]
        assert [number for number, _, _ in got] == list(range(start, end))
        for number, pts, plane in got:
            assert pts == whole[number][0]
            np.testing.assert_array_equal(plane, whole[number][1])


async def test_only_what_leads_to_a_stretch_is_read(tmp_path: Path) -> None:
    path = clips.silent(tmp_path, frames=240)
    video = await opened(path, tmp_path / "scratch")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)  # long before the stretch
    path.write_bytes(data)
    got = [p.frame.pts for p in stretch_of_pictures(video, 230, 240, threads=1)]
    assert got == video.coded.pts[230:].tolist()


async def test_a_stretch_of_a_file_that_is_gone_is_an_input_error(tmp_path: Path) -> None:
    path = clips.silent(tmp_path)
    video = await opened(path, tmp_path / "scratch")
    path.unlink()
    with pytest.raises(InputError, match="silent"):
        list(stretch_of_pictures(video, 0, 4, threads=1))
