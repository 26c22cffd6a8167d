"""What is read back from a file: every packet, every decoded frame, every fault."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import anyio
import anyio.from_thread
import av
import numpy as np
import pytest

from drapto.core.facts import FileFacts, TrackFacts
from drapto.core.media import TrackKind
from drapto.infrastructure.ffmpeg.facts import collect_facts
from tests.media import clips
from tests.media.clips import ffmpeg, pattern, tone
from tests.media.outputs import SVT, with_flipped_bytes
from tests.media.tracks import rich_tracks


@pytest.fixture(scope="module")
def simple(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.simple(tmp_path_factory.mktemp("facts"))


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AV1 and Opus in Matroska, 72 frames, 3 s."""
    out = tmp_path_factory.mktemp("facts") / "encoded.mkv"
    ffmpeg(*pattern(72), *tone(3), *SVT, "-c:a", "libopus", "-b:a", "64k", out)
    return out


def of_kind(facts: FileFacts, kind: TrackKind) -> TrackFacts:
    return next(track for track in facts.tracks if track.kind is kind)


async def test_every_packet_and_frame_is_counted(encoded: Path) -> None:
    facts = await collect_facts(encoded)

    video, audio = of_kind(facts, TrackKind.VIDEO), of_kind(facts, TrackKind.AUDIO)
    assert facts.fault == ""
    assert video.decoded is not None and audio.decoded is not None
    assert len(video) == video.decoded.frames == 72
    assert np.array_equal(video.pts, video.decoded.pts)
    assert np.all(np.diff(video.pts) > 0)
    assert (video.decoded.errors, video.decoded.damaged) == (0, 0)
    assert [str(form) for form in video.decoded.forms] == ["320x180 yuv420p10le -/-/-/tv"]


async def test_sound_begins_after_the_marked_priming_and_ends_before_the_padding(
    encoded: Path,
) -> None:
    audio = of_kind(await collect_facts(encoded), TrackKind.AUDIO)

    assert audio.priming_s == pytest.approx(312 / 48000)  # libopus's look-ahead
    assert audio.start_s == pytest.approx(0, abs=0.001)
    assert audio.end_s == pytest.approx(3, abs=0.002)
    assert audio.decoded is not None
    assert audio.sound_s == audio.decoded.samples / 48000 == pytest.approx(3, abs=0.001)


async def test_frames_come_in_display_order_whatever_the_order_of_the_packets(
    simple: Path,
) -> None:
    video = of_kind(await collect_facts(simple, decode=()), TrackKind.VIDEO)

    stored = [int(line) for line, _ in clips.decoded_frames(simple)]
    assert video.pts.tolist() == stored
    assert video.decoded is None


async def test_only_the_tracks_that_are_asked_for_are_read(simple: Path) -> None:
    facts = await collect_facts(simple, decode=(), streams=(1,))
    nothing = await collect_facts(simple, decode=(), streams=())

    assert [track.index for track in facts.tracks] == [1]
    assert nothing.tracks == () and nothing.fault == ""
    assert len(nothing.media.tracks) == 2


async def test_the_payload_hash_is_that_of_the_packets_bytes(tmp_path: Path) -> None:
    source = rich_tracks(tmp_path)

    facts = await collect_facts(source, decode=())

    with av.open(str(source)) as container:
        payload = b"".join(bytes(p) for p in container.demux(container.streams[2]) if p.size)
    copied = facts.track(2)
    assert copied is not None and copied.payload_bytes == len(payload)
    assert copied.payload_sha256 == sha256(payload).hexdigest()
    cover = facts.track(6)
    assert cover is not None
    assert cover.payload_sha256 == sha256((tmp_path / "rich.png").read_bytes()).hexdigest()


async def test_packets_outside_an_edit_list_are_hidden(tmp_path: Path) -> None:
    source = clips.edit_list(tmp_path)

    video = of_kind(await collect_facts(source), TrackKind.VIDEO)

    assert video.hidden > 0
    assert video.decoded is not None and video.decoded.frames == len(video)
    assert len(video) == len(clips.decoded_frames(source))


async def test_a_damaged_packet_is_counted_and_told(encoded: Path, tmp_path: Path) -> None:
    broken = with_flipped_bytes(encoded, tmp_path / "broken.mkv", packet=1)

    decoded = of_kind(await collect_facts(broken), TrackKind.VIDEO).decoded

    assert decoded is not None and decoded.errors > 0
    assert " at 0.0" in decoded.first_error


@pytest.mark.parametrize(
    "content", [b"", b"no video\n" * 100, bytes(range(256)) * 99], ids=["empty", "text", "noise"]
)
async def test_what_is_no_video_comes_back_as_a_fault(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "thing.mkv"
    path.write_bytes(content)

    facts = await collect_facts(path)

    assert "cannot be opened" in facts.fault
    assert facts.tracks == () and facts.media.size_bytes == len(content)


async def test_a_file_that_is_gone_comes_back_as_a_fault(tmp_path: Path) -> None:
    assert "does not exist" in (await collect_facts(tmp_path / "gone.mkv")).fault


async def test_a_name_full_of_odd_characters_is_taken_literally(
    encoded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = Path("-i %d [a]:'b' \n ü.mkv")
    name.write_bytes(encoded.read_bytes())

    facts = await collect_facts(name, decode=())

    assert facts.fault == "" and len(facts.tracks) == 2


async def test_progress_counts_video_frames(encoded: Path) -> None:
    seen: list[int] = []

    await collect_facts(encoded, on_progress=seen.append)

    assert seen == sorted(seen) and seen[-1] == 72


async def test_cancelling_ends_the_reading_thread_before_the_file_is_read(tmp_path: Path) -> None:
    source = clips.silent(tmp_path, frames=600)
    seen: list[int] = []

    with anyio.CancelScope() as scope:

        def cancel_at_once(frames: int) -> None:
            seen.append(frames)
            if len(seen) == 1:
                anyio.from_thread.run_sync(scope.cancel)

        await collect_facts(source, on_progress=cancel_at_once)

    assert scope.cancelled_caught
    assert seen[-1] < 300  # the thread was waited for, so nothing is appended any more
