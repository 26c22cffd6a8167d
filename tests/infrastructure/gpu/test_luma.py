"""`DeviceLumaReader` gives the frames of the CPU, whatever the device does.

Without a device, an engine is stood in for by FFmpeg's own decoder whose frames are brought to what
NVDEC gives (NV12, P010): everything after the engine is real. With one, the engine itself.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drapto.core.device import Device
from drapto.core.source import LumaFrame, SourceVideo
from drapto.infrastructure.ffmpeg.luma import PyAvLumaReader
from drapto.infrastructure.ffmpeg.pictures import Picture, all_pictures
from drapto.infrastructure.gpu.luma import COMPARED, DeviceLumaReader
from drapto.infrastructure.gpu.planes import AHEAD, UnfitFrameError
from tests.media import clips
from tests.media.film import damage, film, shot, source_of, write_film
from tests.optional import needs_torch

pytestmark = needs_torch

CUDA = Device(name="cuda:0", why="a test wants it")
Alter = Callable[[int, Picture], Picture]


class WithoutEngine(DeviceLumaReader):
    """Frames in host memory, as the engine would give them; `alter` may spoil them."""

    def __init__(self, said: list[str], alter: Alter = lambda _number, picture: picture) -> None:
        super().__init__(CUDA, on_fallback=said.append)
        self._alter = alter

    def _pictures(self, video: SourceVideo) -> Iterator[Picture]:
        for number, picture in enumerate(all_pictures(video, threads=1)):
            deep = picture.frame.format.components[0].bits > 8
            frame = picture.frame.reformat(format="p010le" if deep else "nv12")
            yield self._alter(number, replace(picture, frame=frame))


def taken(frames: Iterator[LumaFrame]) -> list[LumaFrame]:
    return [replace(frame, full=np.array(frame.full)) for frame in frames]


def same(ours: list[LumaFrame], theirs: list[LumaFrame]) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one.luma, other.luma)
        np.testing.assert_array_equal(one.full, other.full)
        assert replace(one, luma=other.luma, full=other.full) == other


def of_the_cpu(video: SourceVideo, max_height: int = 60) -> list[LumaFrame]:
    return taken(PyAvLumaReader().frames(video, max_height=max_height))


@pytest.fixture
def video(tmp_path: Path) -> SourceVideo:
    planes = film(shot(1, 21), shot(2, 20))
    return source_of(write_film(tmp_path / "a.mkv", planes, codec="libx264"))


@pytest.mark.parametrize("max_height", [144, 60, 20])
def test_frames_of_8_bits_are_those_of_the_cpu(video: SourceVideo, max_height: int) -> None:
    said: list[str] = []
    ours = taken(WithoutEngine(said).frames(video, max_height=max_height))
    same(ours, of_the_cpu(video, max_height))
    assert not said


def test_frames_of_10_bits_are_those_of_the_cpu(tmp_path: Path) -> None:
    video = source_of(clips.hdr10(tmp_path))
    said: list[str] = []
    same(taken(WithoutEngine(said).frames(video, max_height=60)), of_the_cpu(video))
    assert not said


def test_a_slice_of_a_plane_comes_to_the_host_as_an_array(video: SourceVideo) -> None:
    frame = next(WithoutEngine([]).frames(video, max_height=60))
    other = next(PyAvLumaReader().frames(video, max_height=60))
    strip = frame.full[4:20, -7:]
    assert isinstance(strip, np.ndarray) and strip.dtype == np.uint8
    np.testing.assert_array_equal(strip, other.full[4:20, -7:])
    assert frame.full.shape == other.full.shape


@pytest.mark.parametrize("number", [0, COMPARED - 1])
def test_the_cpu_gives_all_frames_where_the_beginning_is_damaged(
    video: SourceVideo, number: int
) -> None:
    said: list[str] = []
    reader = WithoutEngine(said, lambda n, picture: replace(picture, damaged=n == number))
    same(taken(reader.frames(video, max_height=60)), of_the_cpu(video))
    assert len(said) == 1 and "without errors" in said[0]


@pytest.mark.parametrize("number", [COMPARED + AHEAD, 30, 40])
def test_damage_later_on_is_an_error(video: SourceVideo, number: int) -> None:
    said: list[str] = []
    reader = WithoutEngine(said, lambda n, picture: replace(picture, damaged=n == number))
    given = []
    with pytest.raises(UnfitFrameError, match="without errors"):
        given += reader.frames(video, max_height=60)
    assert not said


def test_wrong_pictures_are_noticed_before_the_first_is_given_out(video: SourceVideo) -> None:
    def darker(_number: int, picture: Picture) -> Picture:
        plane = np.frombuffer(memoryview(picture.frame.planes[0]), np.uint8)
        plane.flags.writeable = True
        plane //= 2
        return picture

    said: list[str] = []
    same(taken(WithoutEngine(said, darker).frames(video, max_height=60)), of_the_cpu(video))
    assert len(said) == 1 and "frame 0 is not that of the CPU" in said[0]


@pytest.mark.parametrize("lost", [20, 40])
def test_a_frame_that_the_device_loses_is_an_error(video: SourceVideo, lost: int) -> None:
    class Losing(WithoutEngine):
        def _pictures(self, video: SourceVideo) -> Iterator[Picture]:
            for number, picture in enumerate(super()._pictures(video)):
                if number != lost:
                    yield picture

    given: list[int] = []
    with pytest.raises(UnfitFrameError, match=r"not the one|ended after 40 of 41"):
        for frame in Losing([]).frames(video, max_height=60):
            given.append(frame.pts)
    assert given == video.index.pts.tolist()[:lost]


def test_frames_are_held_no_longer_than_they_are_looked_at(video: SourceVideo) -> None:
    """They lie in the memory of the device."""
    held = []
    for frame in WithoutEngine([]).frames(video, max_height=60):
        held.append(weakref.ref(frame.full))
        if frame.number == 3 * AHEAD:
            break
    del frame
    gc.collect()
    assert not any(reference() for reference in held[: 2 * AHEAD])


def test_a_source_whose_packets_are_marked_as_damaged_is_for_the_cpu(video: SourceVideo) -> None:
    said: list[str] = []
    marked = replace(video, doubtful=(30,))
    same(taken(WithoutEngine(said).frames(marked, max_height=60)), of_the_cpu(marked))
    assert len(said) == 1 and "damaged" in said[0]


def test_a_picture_that_cannot_be_decoded_is_an_error(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mkv", shot(1, 40), codec="libx264")
    damage(path, packet=25)
    with pytest.raises(UnfitFrameError):
        taken(WithoutEngine([]).frames(source_of(path), max_height=60))


def test_a_machine_without_the_device_gives_the_frames_all_the_same(video: SourceVideo) -> None:
    """Wherever there is no such device, this is what really happens; there are not 99 of them."""
    said: list[str] = []
    reader = DeviceLumaReader(Device(name="cuda:99", why="a test"), on_fallback=said.append)
    same(taken(reader.frames(video, max_height=60)), of_the_cpu(video))
    assert len(said) == 1 and said[0].startswith("cuda:99 does not decode ")


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("codec", "pixel_format"),
    [("libx264", "yuv420p"), ("libx265", "yuv420p10le"), ("libsvtav1", "yuv420p10le")],
)
def test_the_engine_gives_the_frames_of_the_cpu(
    tmp_path: Path, codec: str, pixel_format: str
) -> None:
    planes = film(shot(1, 30, width=640, height=360), shot(2, 30, width=640, height=360))
    path = write_film(tmp_path / "a.mkv", planes, codec=codec, pixel_format=pixel_format)
    video = source_of(path)
    said: list[str] = []
    ours = taken(DeviceLumaReader(CUDA, on_fallback=said.append).frames(video, max_height=144))
    same(ours, of_the_cpu(video, 144))
    assert not said
