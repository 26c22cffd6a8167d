"""Sound stays with the picture where the clock of the source begins before 0.

A flash and a beep happen at the same moment; they are looked for in the output by decoding it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from drapto.infrastructure.ffmpeg.frames import index_packets
from tests.end_to_end.test_encode import encode
from tests.media.hostile import TS_CLOCK_WRAP_S
from tests.media.sound import BEEPS_S, beeps_after_flashes_s, flashing

AUDIO_FRAME_S = 0.0214
"""1024 samples of AAC at 48 kHz; a packet of Opus is 20 ms."""

WRAPS = ("-output_ts_offset", str(TS_CLOCK_WRAP_S - 2.9))  # the muxer adds 1.4 s
BEFORE_0 = ("-output_ts_offset", "-0.75", "-avoid_negative_ts", "disabled")


@pytest.mark.parametrize(
    ("name", "muxing"),
    [("wrapped.ts", WRAPS), ("before_0.mkv", BEFORE_0)],
)
@pytest.mark.parametrize("audio", ["opus", "copy"])
async def test_sound_stays_with_a_picture_that_begins_before_0(
    name: str, muxing: tuple[str, ...], audio: str, tmp_path: Path
) -> None:
    source, output = flashing(tmp_path, name, *muxing), tmp_path / "out.mkv"
    assert index_packets(source, 0).index.time_s(0) < -0.5
    await encode(source, output, audio=audio, crf=26.0)  # at 50 the flash is smeared
    assert beeps_after_flashes_s(output) == pytest.approx([0] * len(BEEPS_S), abs=AUDIO_FRAME_S)
