"""`Pair` with a device: the frames that libvmaf compares are those that a device gets."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import imageio_ffmpeg
import numpy as np
import pytest

from drapto.core.errors import InputError, ProcessFailedError
from drapto.core.media import CropRect
from drapto.core.quality import Metric
from drapto.infrastructure.ffmpeg.footage import Footage, output_footage
from drapto.infrastructure.ffmpeg.metrics import metric_for
from drapto.infrastructure.ffmpeg.pairing import Means, Pair
from drapto.infrastructure.ffmpeg.quality import Scores, measure_whole
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from drapto.infrastructure.gpu import metric_feed
from tests.media import clips
from tests.optional import needs_torch, needs_vmaf_torch, torch

pytestmark = [needs_torch, needs_vmaf_torch]


FFMPEG = Path(imageio_ffmpeg.get_ffmpeg_exe())
FRAMES = 24
CROP = CropRect(width=310, height=126, x=6, y=26)
SVT = ("-c:v", "libsvtav1", "-preset", "12", "-crf", "45", "-pix_fmt", "yuv420p10le")
OFF = 0.1


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.letterboxed(tmp_path_factory.mktemp("device"), frames=FRAMES, bar=24)


@pytest.fixture(scope="module")
def encode(film: Path) -> Path:
    out = film.parent / "out.mkv"
    cut = ("-vf", f"crop={CROP}:exact=1", "-fps_mode", "passthrough")
    clips.ffmpeg("-i", film, "-map", "0:v:0", *cut, *SVT, out)
    return out


async def paired(source: Path, output: Path, work: Path, metric: Metric = Metric.VMAF) -> Pair:
    reader = PyAvReader()
    media = await reader.probe(source)
    video = await reader.open_video(media, reader.main_video(media), work)
    return Pair(Footage.of(video, CROP), await output_footage(output), metric_for(metric))


async def both(pair: Pair, means: Means, every: int) -> tuple[Scores, Scores]:
    on_device = await measure_whole(pair, replace(means, device="cpu"), every=every)
    return on_device, await measure_whole(pair, means, every=every)


@pytest.mark.parametrize("every", [1, 3])
async def test_a_cropped_ten_bit_encode_has_the_scores_of_libvmaf(
    every: int, film: Path, encode: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metric_feed, "BATCH_PIXELS", 7 * CROP.width * CROP.height)
    means = Means(FFMPEG, tmp_path, on_fallback=pytest.fail)
    got, wanted = await both(await paired(film, encode, tmp_path), means, every)
    assert got.measuring == wanted.measuring
    assert got.quality.mean == pytest.approx(wanted.quality.mean, abs=OFF)
    assert got.values == pytest.approx(wanted.values, abs=3 * OFF)
    assert np.ptp(wanted.values) > 3, "frames that are all alike would prove no order"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
async def test_a_user_who_may_have_no_larger_pipe_measures_through_a_small_one(
    film: Path, encode: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = await paired(film, encode, tmp_path)
    means = Means(FFMPEG, tmp_path, device="cpu", on_fallback=pytest.fail)
    wanted = await measure_whole(pair, means)
    too_large = (1 << 31) + 1  # refused to anybody, as the size is to a user with many pipes
    monkeypatch.setattr(metric_feed, "_PIPE_BYTES", too_large)
    assert (await measure_whole(pair, means)).values == pytest.approx(wanted.values, abs=0.01)


async def test_a_stretch_is_the_same_frames_on_a_device(
    film: Path, encode: Path, tmp_path: Path
) -> None:
    pair, means = await paired(film, encode, tmp_path), Means(FFMPEG, tmp_path)
    seen: list[int] = []
    on_device = replace(means, device="cpu", on_fallback=pytest.fail)
    got = await pair.scores(on_device, pair.measuring(), 10, 20, seen.append)
    assert got == pytest.approx(await pair.scores(means, pair.measuring(), 10, 20), abs=3 * OFF)
    assert seen == sorted(seen) and seen[-1] == 10


async def test_a_device_that_fails_leaves_it_to_libvmaf_and_says_so(
    film: Path, encode: Path, tmp_path: Path
) -> None:
    pair, why = await paired(film, encode, tmp_path), []
    means = Means(FFMPEG, tmp_path)
    missing = f"cuda:{torch.cuda.device_count()}"
    failing = replace(means, device=missing, on_fallback=why.append)
    assert await measure_whole(pair, failing) == await measure_whole(pair, means)
    assert len(why) == 1 and f"cannot be measured on {missing}" in why[0]


async def test_a_device_that_fails_half_way_leaves_it_to_libvmaf(
    film: Path, encode: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ffmpeg, which waits for somebody to read its frames, is ended as well."""
    monkeypatch.setattr(metric_feed, "BATCH_PIXELS", 1)
    real, frames = metric_feed.TorchVmaf.add, []

    def add(vmaf: Any, encoded: Any, original: Any) -> None:
        frames.append(len(encoded))
        with vmaf._computing():
            if len(frames) == 5:
                raise RuntimeError("CUDA error: an illegal memory access was encountered")
        real(vmaf, encoded, original)

    monkeypatch.setattr(metric_feed.TorchVmaf, "add", add)
    pair, why = await paired(film, encode, tmp_path), []
    means = Means(FFMPEG, tmp_path)
    failing = replace(means, device="cpu", on_fallback=why.append)
    with anyio.fail_after(60):
        assert await measure_whole(pair, failing) == await measure_whole(pair, means)
    assert len(why) == 1 and "illegal memory access" in why[0]
    assert len(frames) == 5 and not list(tmp_path.iterdir())


async def test_other_metrics_are_measured_in_ffmpeg_without_a_word(
    film: Path, encode: Path, tmp_path: Path
) -> None:
    pair = await paired(film, encode, tmp_path, Metric.SSIM)
    means = Means(FFMPEG, tmp_path, on_fallback=pytest.fail)
    got, wanted = await both(pair, means, 1)
    assert got == wanted


async def test_a_device_that_is_too_slow_ends_at_the_deadline(
    film: Path, encode: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metric_feed, "BATCH_PIXELS", 1)
    added: list[object] = []

    def add(*frames: object) -> None:
        added.append(frames)
        time.sleep(0.5)

    monkeypatch.setattr(metric_feed.TorchVmaf, "add", add)
    means = Means(FFMPEG, tmp_path, device="cpu", on_fallback=pytest.fail)
    pair = await paired(film, encode, tmp_path)
    with pytest.raises(ProcessFailedError, match="ran past its deadline"):
        await measure_whole(pair, replace(means, ends_at=anyio.current_time()))
    assert not list(tmp_path.iterdir())
    assert len(added) < FRAMES, "the rest is not computed"


async def test_frames_that_cannot_be_decoded_are_missed_on_a_device_as_well(
    film: Path, encode: Path, tmp_path: Path
) -> None:
    torn = tmp_path / "torn.mkv"
    torn.write_bytes(encode.read_bytes()[: encode.stat().st_size * 2 // 3])
    pair = await paired(film, encode, tmp_path)
    short = replace(pair, output=replace(pair.output, path=torn))
    with pytest.raises(InputError, match=r"only \d+ of 24 could be decoded"):
        await measure_whole(short, Means(FFMPEG, tmp_path, device="cpu", on_fallback=pytest.fail))
    assert list(tmp_path.iterdir()) == [torn]
