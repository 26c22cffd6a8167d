"""Several recordings in one MPEG-TS get one clock."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from drapto.infrastructure.ffmpeg.frames import index_packets
from drapto.infrastructure.ffmpeg.mending import MENDED_NAME, Mended, mend
from tests.media import clips
from tests.media.joined import FRAMES, HOUR_S, join, part

STEP = 3600


def mended(source: Path, work: Path) -> Mended | None:
    return mend(source, 0, index_packets(source, 0), work)


def test_every_frame_follows_the_one_before(tmp_path: Path) -> None:
    one = part(tmp_path, bframes=3)
    source = join(one, part(tmp_path, "2.ts", at_s=HOUR_S), one)
    found = mended(source, tmp_path / "work")
    assert found is not None
    assert np.diff(found.indexed.index.pts).tolist() == [STEP] * (3 * FRAMES - 1)
    assert [change.frame for change in found.changes] == [FRAMES, 2 * FRAMES]
    assert clips.decoded_hashes(found.path) == clips.decoded_hashes(source)
    assert len([n for n in found.indexed.index.notes if "another recording begins" in n]) == 2
    assert not found.indexed.restarts


def test_a_recording_cut_off_in_a_packet_is_joined_too(tmp_path: Path) -> None:
    one = part(tmp_path)
    torn = tmp_path / "torn.ts"
    torn.write_bytes(one.read_bytes()[:-4242])
    source = join(torn, one)
    found = mended(source, tmp_path / "work")
    assert found is not None
    (change,) = found.changes
    steps = np.diff(found.indexed.index.pts)
    assert set(steps.tolist()) == {STEP}
    assert len(found.indexed.index) == len(index_packets(source, 0).index)
    assert len(found.indexed.index) - change.frame == FRAMES


def test_one_recording_is_left_alone(tmp_path: Path) -> None:
    assert mended(part(tmp_path), tmp_path / "work") is None
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("damaged", [False, True])
def test_a_finished_copy_is_used_again_if_it_is_whole(damaged: bool, tmp_path: Path) -> None:
    one, work = part(tmp_path), tmp_path / "work"
    source = join(one, one)
    first = mended(source, work)
    assert first is not None
    assert first.path == work / MENDED_NAME
    whole, made = first.path.read_bytes(), first.path.stat().st_mtime_ns
    if damaged:
        first.path.write_bytes(whole[:-188])
    again = mended(source, work)
    assert again is not None
    assert again.changes == first.changes
    assert first.path.read_bytes() == whole
    assert (first.path.stat().st_mtime_ns == made) is not damaged
