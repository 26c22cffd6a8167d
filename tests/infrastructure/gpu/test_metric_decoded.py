"""Frames that a device decodes are the pictures that ffmpeg would have made of them.

Without a device its engine is stood in for by FFmpeg's own decoder, whose frames are brought to
what NVDEC gives (NV12, P010): everything after the engine is real.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from drapto.core.device import Device
from drapto.core.interfaces import LumaReader
from drapto.core.media import CropRect
from drapto.core.quality import Metric
from drapto.core.source import LumaFrame, SourceVideo
from drapto.infrastructure.ffmpeg.footage import Footage, output_footage
from drapto.infrastructure.ffmpeg.metrics import metric_for
from drapto.infrastructure.ffmpeg.pairing import Means, Pair
from drapto.infrastructure.ffmpeg.pictures import Picture, all_pictures
from drapto.infrastructure.ffmpeg.quality import measure_whole
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from drapto.infrastructure.gpu import metric_decoded, metric_feed
from drapto.infrastructure.gpu.luma import DeviceLumaReader
from drapto.infrastructure.gpu.metric_decoded import are_plain, eight_bit
from tests.media import clips
from tests.optional import needs_torch, needs_vmaf_torch, torch

pytestmark = [needs_torch, needs_vmaf_torch]


FFMPEG = Path(pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe())
FRAMES = 24
CROP = CropRect(width=310, height=126, x=7, y=27)  # odd: the dither begins at the crop
SVT = ("-c:v", "libsvtav1", "-preset", "12", "-crf", "45", "-pix_fmt", "yuv420p10le")


class WithoutEngine(DeviceLumaReader):
    """Frames in host memory, as the engine would give them."""

    def __init__(self) -> None:
        super().__init__(Device(name="cuda:0", why="a test wants it"), on_fallback=pytest.fail)

    def _pictures(self, video: SourceVideo) -> Iterator[Picture]:
        for picture in all_pictures(video, threads=1):
            deep = picture.frame.format.components[0].bits > 8
            frame = picture.frame.reformat(format="p010le" if deep else "nv12")
            yield replace(picture, frame=frame)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.letterboxed(tmp_path_factory.mktemp("decoded"), frames=FRAMES, bar=24)


@pytest.fixture(scope="module")
def encode(film: Path) -> Path:
    out = film.parent / "out.mkv"
    cut = ("-vf", f"crop={CROP}:exact=1", "-fps_mode", "passthrough")
    clips.ffmpeg("-i", film, "-map", "0:v:0", *cut, *SVT, out)
    return out


async def paired(source: Path, output: Path, work: Path) -> Pair:
    reader = PyAvReader()
    media = await reader.probe(source)
    video = await reader.open_video(media, reader.main_video(media), work)
    original, encoded = Footage.of(video, CROP), await output_footage(output)
    return Pair(original, encoded, metric_for(Metric.VMAF))


def test_ten_bits_become_eight_as_in_ffmpeg() -> None:
    """Every code of ten bits at every place of the pattern, and cut at odd places."""
    codes = np.kron(np.arange(1024, dtype="<u2").reshape(32, 32), np.ones((4, 4), "<u2"))
    raw = codes.tobytes() + np.full(codes.size // 2, 512, "<u2").tobytes()
    crop = CropRect(width=100, height=90, x=3, y=5)
    argv = [
        *(FFMPEG, "-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p10le", "-s", "128x128"),
        *("-i", "-", "-vf", f"crop={crop}:exact=1,format=yuv420p,extractplanes=y"),
        *("-f", "rawvideo", "-"),
    ]
    wanted = subprocess.run(argv, input=raw, capture_output=True, check=True).stdout
    got = eight_bit(torch.from_numpy(codes.astype(np.int32))[5:95, 3:103], 10)
    assert got.numpy().tobytes() == wanted


@pytest.mark.parametrize("every", [1, 3])
async def test_decoded_frames_score_what_the_frames_of_ffmpeg_score(
    every: int, film: Path, encode: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metric_decoded, "BATCH_PIXELS", 7 * CROP.width * CROP.height)
    pair = await paired(film, encode, tmp_path)
    means = Means(FFMPEG, tmp_path, device="cpu", on_fallback=pytest.fail)
    wanted = await measure_whole(pair, means, every=every)
    # Nothing may come by way of ffmpeg now.
    monkeypatch.setattr(metric_feed.LumaFeed, "scores", pytest.fail)
    seen: list[int] = []
    decoding = replace(means, reader=WithoutEngine())
    got = await measure_whole(pair, decoding, every=every, on_frames=seen.append)
    assert got.values == pytest.approx(wanted.values, abs=0.01)
    assert np.ptp(wanted.values) > 3, "frames that are all alike would prove no order"
    assert seen == [7, 14, 21, 24]


async def test_it_ends_when_nobody_waits(
    film: Path, encode: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metric_decoded, "BATCH_PIXELS", 7 * CROP.width * CROP.height)
    pair, seen = await paired(film, encode, tmp_path), []
    means = Means(FFMPEG, tmp_path, device="cpu", reader=WithoutEngine())
    with anyio.CancelScope() as scope:

        def first(done: int) -> None:
            seen.append(done)
            scope.cancel()

        await measure_whole(pair, means, on_frames=first)
    assert scope.cancelled_caught and seen == [7]


class OneTooFew:
    def frames(self, video: SourceVideo, *, max_height: int) -> Iterator[LumaFrame]:
        yield from islice(WithoutEngine().frames(video, max_height=max_height), FRAMES - 1)


class OneSkipped:
    def frames(self, video: SourceVideo, *, max_height: int) -> Iterator[LumaFrame]:
        for frame in WithoutEngine().frames(video, max_height=max_height):
            if frame.number != 5:
                yield frame


class OneDamaged:
    def frames(self, video: SourceVideo, *, max_height: int) -> Iterator[LumaFrame]:
        for frame in WithoutEngine().frames(video, max_height=max_height):
            yield replace(frame, damaged=frame.number == 5)


@pytest.mark.parametrize(
    ("reader", "said"),
    [(OneTooFew(), "only 23 frames"), (OneSkipped(), "Frame 5 of"), (OneDamaged(), "Frame 5 of")],
)
async def test_other_frames_than_those_of_the_index_are_left_to_libvmaf(
    reader: LumaReader, said: str, film: Path, encode: Path, tmp_path: Path
) -> None:
    pair, why = await paired(film, encode, tmp_path), []
    means = Means(FFMPEG, tmp_path)
    failing = replace(means, device="cpu", reader=reader, on_fallback=why.append)
    assert await measure_whole(pair, failing) == await measure_whole(pair, means)
    assert len(why) == 1 and said in why[0]


class FailingDevice:
    """Reads frames that lie on a device; the sixth of a film no longer can be had from there."""

    def frames(self, video: SourceVideo, *, max_height: int) -> Iterator[LumaFrame]:
        for frame in WithoutEngine().frames(video, max_height=max_height):
            yield replace(frame, full=_Lost()) if frame.number == 5 else frame


class _Lost:
    def tensor(self) -> Any:
        raise RuntimeError("CUDA error: unspecified launch failure")


def full(*_picture: object) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory.")


@pytest.mark.parametrize(
    ("reader", "step", "said"),
    [
        (FailingDevice(), None, "unspecified launch failure"),
        (WithoutEngine(), "eight_bit", "its memory is full"),
        (WithoutEngine(), "_stacked", "its memory is full"),
    ],
)
async def test_a_device_that_fails_before_it_computes_is_left_for_libvmaf(
    reader: LumaReader,
    step: str | None,
    said: str,
    film: Path,
    encode: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A device whose memory is full cannot be had here."""
    if step is not None:
        monkeypatch.setattr(metric_decoded, step, full)
    pair, why = await paired(film, encode, tmp_path), []
    means = Means(FFMPEG, tmp_path)
    failing = replace(means, device="cpu", reader=reader, on_fallback=why.append)
    assert await measure_whole(pair, failing) == await measure_whole(pair, means)
    assert len(why) == 1 and "VMAF cannot be measured on cpu" in why[0] and said in why[0]


@pytest.mark.parametrize(
    "change",
    [
        {"color": {"matrix": "smpte170m", "range": "tv"}},
        {"color": {"matrix": "bt709", "range": "pc"}},
        {"color": {"matrix": "gbr"}},
        {"bit_depth": 12},
        {"video": None},
    ],
)
async def test_what_has_to_be_converted_is_left_to_ffmpeg(
    change: dict[str, Any], film: Path, encode: Path, tmp_path: Path
) -> None:
    pair = await paired(film, encode, tmp_path)
    tagged = pair.source.color.model_copy(update={"matrix": "bt709", "range": "tv"})
    source, output = (replace(side, color=tagged) for side in (pair.source, pair.output))
    assert are_plain(output, source)
    if "color" in change:
        change = {"color": tagged.model_copy(update=change["color"])}
    assert not are_plain(output, replace(source, **change))
