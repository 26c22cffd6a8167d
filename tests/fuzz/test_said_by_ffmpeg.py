"""What ffmpeg prints, what it hands over as bytes, and what a file's own tags make it say."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drapto.core.quality import Measuring, Metric
from drapto.infrastructure.ffmpeg import audio, probe
from drapto.infrastructure.ffmpeg.metrics import metric_for
from drapto.infrastructure.ffmpeg.progress import frame_watcher, time_watcher
from drapto.infrastructure.ffmpeg.side_data import (
    content_light,
    dolby_vision_of_frame,
    mastering_display,
    orientation,
    parse_stream_facts,
)
from tests.fuzz.strategies import documents, fuzzed, mutated

REPORT = """\
Input #0, matroska,webm, from 'file:/films/in.mkv':
  Metadata:
    title           : A film
  Duration: 00:00:03.00, start: 0.000000, bitrate: 143 kb/s
  Stream #0:0(eng): Video: hevc (Main 10), 1 reference frame, yuv420p10le(tv, bt2020nc, topleft), 8
      Metadata:
        DURATION        : 00:00:03.000000000
      Side data:
        DOVI configuration record: version: 1.0, profile: 8, level: 4, rpu flag: 1, el flag: 0, \
bl flag: 1, compatibility id: 1
  Stream #0:1[0x102](ger): Audio: aac (LC), 48000 Hz, stereo, fltp
"""
FRAMECRC = (
    "#tb 0: 1/48000\n#media_type 0: audio\n0,    1024,     1024,     1024,   4096, 0x00000000\n"
)
PROGRESS = ["frame=42", "fps=N/A", "out_time_us=1750000", "out_time_us=N/A", "progress=continue"]
NINES = "9" * 5000

texts = st.text(alphabet=st.characters(), max_size=60)


def near(text: str) -> st.SearchStrategy[str]:
    return mutated(text.encode()).map(lambda data: data.decode("utf-8", "replace"))


@fuzzed
@given(near(REPORT) | texts)
@example(REPORT.replace("#0:0", f"#0:{NINES}"))
@example(REPORT.replace("profile: 8", f"profile: {NINES}"))
def test_any_report_gives_facts(text: str) -> None:
    assert all(index >= 0 for index in parse_stream_facts(text))


def test_a_title_is_not_taken_for_a_stream() -> None:
    """Python breaks lines where ffmpeg does not."""
    for separator in ("\u2028", "\x85", "\x0b", "\x1c"):
        line = f"{separator}  Stream #0:0: Video: hevc, yuv420p(tv, topleft)"
        assert parse_stream_facts(f"    title           : x{line}\n") == {}


@fuzzed
@given(near(FRAMECRC) | texts)
@example(FRAMECRC.replace("1/48000", "1/0"))
@example(FRAMECRC.replace("1/48000", f"1/{NINES}"))
@example(FRAMECRC.replace("0,    1024", f"0,    {NINES}"))
def test_any_list_of_frames_gives_a_time_or_none(text: str) -> None:
    at_s = audio.parse_first_sample(text)
    assert at_s is None or isinstance(at_s, Fraction)


@fuzzed
@given(st.sampled_from(PROGRESS).flatmap(near) | texts)
@example(f"frame={NINES}")
@example(f"out_time_us={NINES}")
@example(f"out_time_us={'9' * 400}")
def test_any_line_of_progress_is_heard(line: str) -> None:
    heard: list[float] = []
    frame_watcher(heard.append)(line)
    time_watcher(heard.append)(line)
    assert len(heard) <= 2


LOGS = {
    Metric.VMAF: documents({"frames": [{"frameNum": 0, "metrics": {"vmaf": 97.5}}]}),
    Metric.XPSNR: mutated(b"n:    1  XPSNR y: 41.0719  XPSNR u: 43.1  XPSNR v: 42.6\n"),
    Metric.SSIM: mutated(b"n:1 Y:0.991 U:0.995 V:0.994 All:0.992 (20.9)\n"),
}


@pytest.mark.parametrize("metric", Metric)
@fuzzed
@given(data=st.data())
def test_any_log_of_a_metric_gives_scores_or_one_error(metric: Metric, data: st.DataObject) -> None:
    measuring = Measuring(metric=metric, model="vmaf_v0.6.1" if metric is Metric.VMAF else "")
    try:
        scores = metric_for(metric).scores(data.draw(LOGS[metric]), measuring)
    except ValueError:
        return
    assert all(isinstance(score, float) for score in scores)


@fuzzed
@given(st.binary(max_size=120), st.sampled_from(["av1", "hevc"]), st.sampled_from([None, "bt709"]))
@example(b"\xff" * 120, "hevc", None)
@example(b"\x00" * 120, "hevc", None)
def test_side_data_may_be_anything(data: bytes, codec: str, transfer: str | None) -> None:
    mastering_display(data)
    content_light(data)
    dolby_vision_of_frame(data, codec, transfer)
    turn, _ = orientation(data)
    assert turn in (0, 90, 180, 270)


TAGS = st.one_of(
    texts,
    st.sampled_from(
        ["²", NINES, f"{NINES}:00:00", f"{'9' * 400}:00:00.5", "1:00:00.1.2", "٣:٠٠:٠٠"]
    ),
    near("00:01:02.500000000"),
)


@fuzzed
@given(TAGS)
@example("²")
@example(f"{NINES}:00:00")
@example(f"{'9' * 400}:00:00.5")
def test_tags_that_should_be_numbers_may_be_anything(tag: str) -> None:
    stream = SimpleNamespace(
        time_base=None,
        duration=None,
        start_time=None,
        metadata={"DURATION": tag, "BPS": tag},
        codec_context=None,
    )
    container = SimpleNamespace(metadata={"encoder": "Lavf"})
    duration_s = probe._duration_s(stream, container)  # type: ignore[arg-type]
    assert duration_s is None or duration_s > 0
    rate = probe._bit_rate(stream)  # type: ignore[arg-type]
    assert rate is None or rate >= 0
