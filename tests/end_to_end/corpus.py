"""One entry of the corpus through the real program, and its output held against its truth."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.program import drapto, drapto_here, processes_about
from tests.media.corpus.entry import Entry
from tests.media.corpus.judging import (
    differences,
    expected_exit,
    expected_named,
    expected_words,
    output_truth,
)
from tests.media.corpus.reading import read

OPTIONS = ("--preset", "12", "--crf", "50", "--json")
MANY_BYTES = 1 << 28  # a source this large is only looked at from outside

WRITTEN_TICK_S = {".mkv": 0.00101, ".webm": 0.00101, ".mp4": 0.00101}
"""Two times rounded to Matroska's millisecond, the source's and the output's."""


# Every run costs one to three seconds of a core. These have a twin that differs in little, so they
# wait for the long tests, each in a process of its own; the others share the process of the tests.
TWINS = frozenset({
    "fps_1000", "ts", "webm_vp9_odd_size", "mp4_fragmented", "ogg_theora", "aspect_by_container",
    "yuv420_10", "subtitles_in_bar", "hdr10", "sound_ac3_5_1_side", "sound_opus_5_1",
    "text_vobsub", "refused_playlist", "refused_device", "name_spaces", "name_long", "sound_later",
    "gap_of_1_h", "soft_telecine", "one_key_frame",
    "frames_in_pairs", "sound_earlier", "empty_edit", "open_gop_hevc", "b_pyramid_hevc",
    "intra_only", "gradual_refresh", "mpeg_ps", "raw_h264", "avi_empty_packets",
    "webm_vp8_hidden", "wmv", "gif", "two_frames", "rotated_180", "rotated_270",
    "rotated_90_mirrored", "yuv422_8", "yuv444_8", "yuv422_10", "yuv420_12", "yuv422_12", "gray_10",
    "rgb_untagged", "transparent", "pillarbox", "windowbox", "black_opening", "interlaced_untold",
    "thin_lines_progressive", "dolby_vision_7_minimal", "dolby_vision_record_alone",
    "sound_mp3_stereo", "sound_aac_mono_mp4", "sound_eac3_5_1_side", "sound_vorbis_webm",
    "sound_pcm_24_mov", "text_srt_overlapping", "chapters_overlapping", "cover_mp4",
    "flips_mkv_few", "flips_mp4", "flips_ts", "hole_ts", "truncated_ts", "wrong_extension_mkv",
    "refused_noise", "refused_header", "refused_looping_link", "refused_cover_only",
    "name_percent", "name_colons", "name_emoji", "name_filter", "name_bare", "name_quotes",
    "vfr_24_then_30", "equal_timestamps", "gaps_in_sound", "open_start_hevc", "intra_only_prores",
    "ts_captions", "ts_clock_starts_anew", "mpeg_ps_rare_timestamps", "flv", "mxf", "av1_bare",
    "size_32x32", "yuv420_8", "gray_8", "yuv444_10", "rgb_16", "transparent_vp9", "logo_in_bar",
    "interlaced_bff", "progressive_flagged_interlaced", "hdr10_plus_in_half", "dolby_vision_8_4",
    "sound_8_khz_mono_pcm", "sound_aac_5_1", "sound_12_tracks", "text_mov_text", "languages_odd",
    "truncated_mp4", "hole_mp4", "flips_avi", "refused_text", "refused_dangling_link",
    "refused_sparse_5_gb", "refused_lost_index", "size_8k", "sound_96_khz_flac",
    "sound_truehd_5_1", "flips_mkv", "wrong_extension_mp4", "timecode_track", "hidden_alt_refs_vp9",
    "chapters_mp4", "begins_between_key_frames", "hole_mkv", "dolby_vision_7_full", "two_videos",
})  # fmt: skip

# What MP4 and WebM cannot hold, and what they hold in another way than Matroska.
ELSEWHERE_EVERY_TIME = frozenset({
    "vfr_jitter.mp4", "start_at_5_s.mp4", "edit_list.mp4", "one_frame.mp4", "rotated_90.mp4",
    "dolby_vision_8_1.mp4", "sound_flac_7_1.mp4", "text_ass_with_fonts.mp4", "text_pgs.mp4",
    "chapters_nested.mp4", "languages_tagged.mp4", "hdr10_plus.webm", "sound_aac_5_1.webm",
    "covers_and_font.webm",
})  # fmt: skip


def cases(entries: Iterable[Entry], suffix: str) -> list[Any]:
    """Parameters of a test: an entry, and the extension of its output."""
    return [
        pytest.param(
            entry,
            suffix,
            id=f"{entry.name}{suffix}",
            marks=(pytest.mark.slow,) if waits(entry, suffix) else (),
        )
        for entry in entries
    ]


def waits(entry: Entry, suffix: str) -> bool:
    """Whether a run is left to the long tests."""
    if suffix == ".mkv":
        return entry.slow or entry.name in TWINS
    return f"{entry.name}{suffix}" not in ELSEWHERE_EVERY_TIME


def assert_like_its_source_or_refused(entry: Entry, suffix: str, tmp_path: Path) -> None:
    """Exit code, words, manifest, tracks, every frame's time; nothing changed, nothing left."""
    if entry.missing:
        pytest.skip(entry.missing)
    truth = entry.truth
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    source, output = entry.make(tmp_path / "in"), tmp_path / "out" / f"out{suffix}"
    untouched = everything_in(tmp_path / "in")

    state = str(tmp_path / "state")
    run = drapto if waits(entry, suffix) else drapto_here
    done = run("encode", source, output, *OPTIONS, DRAPTO_STATE_DIR=state)
    said = done.stdout + done.stderr

    assert done.returncode == expected_exit(truth, suffix), said
    assert "Traceback" not in said
    for words in expected_words(truth, suffix):
        assert words in said
    assert everything_in(tmp_path / "in") == untouched
    assert processes_about(output) == []
    if done.returncode:
        assert list((tmp_path / "out").iterdir()) == []
        return
    assert list((tmp_path / "out").iterdir()) == [output]
    assert manifest_faults(done.stdout) == []
    assert named_rows(done.stdout) == expected_named(truth, suffix)
    assert crop_of(done.stdout) == truth.crop
    assert result_of(done.stdout)["dynamic_range"] == truth.dynamic_range
    found = read(output)
    assert differences(found, output_truth(truth, suffix), tick_s=WRITTEN_TICK_S[suffix]) == []
    if truth.hdr10_plus or truth.dolby_vision:
        before = read(source, truth.main)
        assert found.hdr10_plus_of == before.hdr10_plus_of
        if "dolby_vision_layer" not in truth.named:
            assert found.dolby_vision_of == before.dolby_vision_of


def everything_in(directory: Path) -> dict[str, str]:
    """A digest of each file; of what is no plain file, or enormous, its kind and size."""
    found = {}
    for path in sorted(directory.rglob("*")):
        facts = path.lstat()
        plain = stat.S_ISREG(facts.st_mode) and facts.st_size < MANY_BYTES
        known = f"{facts.st_mode} {facts.st_size} {facts.st_mtime_ns}"
        found[str(path)] = blake2b(path.read_bytes()).hexdigest() if plain else known
    return found


def result_of(stdout: str) -> dict[str, Any]:
    events = [json.loads(line) for line in stdout.splitlines()]
    (result,) = [event["result"] for event in events if event["event"] == "job_finished"]
    return dict(result)


def crop_of(stdout: str) -> tuple[int, int, int, int] | None:
    crop = result_of(stdout)["crop"]
    return crop and (crop["width"], crop["height"], crop["x"], crop["y"])


def manifest_rows(stdout: str) -> list[dict[str, str]]:
    return list(json.loads(Path(result_of(stdout)["manifest"]).read_text())["rows"])


def manifest_faults(stdout: str) -> list[dict[str, str]]:
    return [row for row in manifest_rows(stdout) if row["outcome"] == "fail"]


def named_rows(stdout: str) -> frozenset[str]:
    return frozenset(row["check"] for row in manifest_rows(stdout) if row["outcome"] == "named")
