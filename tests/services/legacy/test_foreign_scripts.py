"""Scripts of another team: another shape, and everything that can go wrong with them."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from drapto.bootstrap.stages import legacy_stages, make_workshop
from drapto.core.errors import (
    DraptoError,
    InputError,
    MissingToolError,
    ProcessFailedError,
    ResourceError,
    ScriptContractError,
    UsageError,
    ValidationFailedError,
)
from drapto.core.job import EncodeOptions, JobRequest
from drapto.core.media import CropRect
from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg, inspect_ffmpeg
from drapto.infrastructure.resources import ResourceManager
from drapto.infrastructure.settings import Settings
from drapto.services.legacy.adapter import (
    LegacyDetection,
)
from drapto.services.orchestrator import VideoOrchestrator
from drapto.services.stages import FixedStages
from tests.end_to_end.program import processes_about
from tests.legacy import echoing, foreign, opened
from tests.media import clips

PYTHON = f"#!{sys.executable}\n"

DETECT = (
    PYTHON
    + """\
import json
print(json.dumps({"dynamic_range": "sdr", "crop": "320:132:0:24", "cuts": [30],
                  "notes": ["Our own scripts looked at this film."]}))
"""
)

# Everything on one line, ranges of the source instead of files.
SEGMENT = """\
#!/bin/sh
echo "cutting $DRAPTO_FRAMES frames" >&2
printf '{"segments":[{"start":0,"end":30},{"start":30,"end":%s}]}' "$DRAPTO_FRAMES"
"""

ENCODE = (
    PYTHON
    + """\
import json, os, subprocess
told = {name: value for name, value in os.environ.items() if name.startswith("DRAPTO_")}
end = f":end_pts={told['DRAPTO_END_PTS']}" if told["DRAPTO_END_PTS"] else ""
graph = f"trim=start_pts={told['DRAPTO_FIRST_PTS']}{end},crop={told['DRAPTO_CROP']}"
subprocess.run([told["DRAPTO_FFMPEG"], "-v", "error", "-copyts", "-i", told["DRAPTO_INPUT"],
                "-map", "0:" + told["DRAPTO_STREAM"], "-vf", graph + ",setpts=PTS-STARTPTS",
                "-fps_mode", "passthrough", "-enc_time_base", "demux", "-pix_fmt", "yuv420p10le",
                "-c:v", "libsvtav1", "-preset", "12", "-crf", told["DRAPTO_CRF"],
                "-f", "matroska", told["DRAPTO_OUTPUT"]], check=True)
print(json.dumps({"frames": int(told["DRAPTO_FRAMES"])}))
"""
)


class Heard:
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def emit(self, event: object) -> None:
        if type(event).__name__ == "Warned":
            self.warnings.append(str(getattr(event, "message", "")))


@pytest.fixture
async def video(tmp_path: Path) -> SourceVideo:
    return await opened(clips.silent(tmp_path, frames=24), tmp_path)


async def test_scripts_of_another_shape_serve_a_whole_job(tmp_path: Path) -> None:
    foreign(tmp_path, detect=DETECT, segment=SEGMENT, encode_segment=ENCODE)
    settings = Settings(legacy_scripts_dir=tmp_path / "our scripts")
    binary = await inspect_ffmpeg(find_ffmpeg())
    resources = ResourceManager(cpu_slots=2, memory_bytes=4 << 30)
    stages = legacy_stages(settings, binary, resources, tmp_path / "legacy work")
    workshop = make_workshop(settings, binary, resources, tmp_path / "state")
    heard = Heard()
    result = await VideoOrchestrator(workshop, FixedStages(stages)).encode(
        JobRequest(source=clips.letterboxed(tmp_path), output=tmp_path / "out.mkv"), heard
    )
    await resources.close()
    assert (result.frames, result.segments, result.settings.crf) == (72, 2, 25)
    assert result.crop == CropRect(width=320, height=132, x=0, y=24)
    assert "Our own scripts looked at this film." in result.warnings


GOOD = '{"dynamic_range": "sdr", "crop": null}'


@pytest.mark.parametrize(
    ("script", "error", "said"),
    [
        ("#!/bin/sh\n", ScriptContractError, "nothing came out"),
        (echoing("hello there"), ScriptContractError, "It printed: hello there"),
        (echoing("[1, 2]"), ScriptContractError, r"It printed: \[1, 2\]"),
        (echoing(GOOD + GOOD), ScriptContractError, "trailing characters"),
        (echoing("[" * 5000), ScriptContractError, "did not keep to its contract"),
        (echoing('{"crop": null}'), ScriptContractError, "dynamic_range: Field required"),
        (echoing(GOOD.replace("sdr", "dim")), ScriptContractError, "dynamic_range: .*'sdr'"),
        (echoing(GOOD.replace("crop", "corp")), ScriptContractError, "corp: Extra inputs"),
        (echoing(GOOD.replace("null", '"all of it"')), ScriptContractError, "W:H:X:Y"),
        (echoing(GOOD.replace("null", '"322:180:0:0"')), ScriptContractError, "322:180:0:0 is not"),
        (echoing(GOOD.replace("null", '"99:60:0:0"')), ScriptContractError, "even part"),
        (echoing(GOOD.replace("null", "null, \"cuts\": [9, 3]")), ScriptContractError, "ascend"),
        (echoing(GOOD.replace("null", "null, \"cuts\": [24]")), ScriptContractError, "below 24"),
        (echoing(GOOD.replace("null", "null, \"cuts\": [3.5]")), ScriptContractError, "cuts.0"),
        (r"#!/bin/sh" "\nprintf '\\377\\376'\n", ScriptContractError, "did not keep"),
        ("#!/bin/sh\nhead -c 20000000 /dev/zero | tr '\\0' x\n", ScriptContractError, "8388608"),
        ("#!/bin/sh\necho no luck today >&2; exit 1\n", ProcessFailedError, "no luck today"),
        ("#!/bin/sh\necho bad option >&2; exit 2\n", UsageError, "bad option"),
        ("#!/bin/sh\necho broken file >&2; exit 3\n", InputError, "broken file"),
        ("#!/bin/sh\necho no mkvtoolnix >&2; exit 4\n", MissingToolError, "no mkvtoolnix"),
        ("#!/bin/sh\nno-such-program\n", MissingToolError, "no-such-program.*apt-get install"),
        ("#!/bin/sh\necho wrong >&2; exit 5\n", ValidationFailedError, "wrong"),
        ("#!/bin/sh\necho no space left on device >&2; exit 9\n", ResourceError, "no space"),
        ("#!/bin/sh\nkill -SEGV $$\n", ProcessFailedError, "signal 11"),
        ("#!/nowhere/interpreter\n", MissingToolError, "cannot be started"),
    ],
)  # fmt: skip
async def test_script_that_misbehaves_gives_the_right_error(
    script: str, error: type[DraptoError], said: str, video: SourceVideo, tmp_path: Path
) -> None:
    detection = LegacyDetection(foreign(tmp_path, detect=script))
    with pytest.raises(error, match=said) as caught:
        await detection.analyze(video, EncodeOptions(), lambda _frames: None)
    assert type(caught.value) is error
    assert "simple.mkv" in str(caught.value) or "silent.mkv" in str(caught.value)
    assert len(str(caught.value)) < 2000


async def test_flood_on_stderr_is_survived_and_shortened(
    video: SourceVideo, tmp_path: Path
) -> None:
    flood = "#!/bin/sh\nhead -c 50000000 /dev/zero | tr '\\0' y >&2\necho at last >&2\nexit 1\n"
    with pytest.raises(ProcessFailedError, match="at last") as caught:
        await LegacyDetection(foreign(tmp_path, detect=flood)).analyze(
            video, EncodeOptions(), lambda _frames: None
        )
    assert len(str(caught.value)) < 2000


HANG = "#!/bin/sh\nsleep 300 &\necho started >&2\nwait\n"


async def test_script_that_hangs_is_ended_with_all_its_children(
    video: SourceVideo, tmp_path: Path
) -> None:
    scripts = foreign(tmp_path, deadline_s=0.5, detect=HANG.replace("300", "3017"))
    with pytest.raises(ProcessFailedError, match=r"ran past its deadline.*started"):
        await LegacyDetection(scripts).analyze(video, EncodeOptions(), lambda _frames: None)
    assert processes_about(Path("sleep 3017")) == []


async def test_cancelling_ends_the_script_with_all_its_children(
    video: SourceVideo, tmp_path: Path
) -> None:
    scripts = foreign(tmp_path, detect="#!/bin/sh\ntouch here\nsleep 3018 &\nwait\n")
    began_s = time.monotonic()
    async with anyio.create_task_group() as group:
        detection = LegacyDetection(scripts)
        group.start_soon(detection.analyze, video, EncodeOptions(), lambda _frames: None)
        while not (scripts.work_dir / "here").exists():
            await anyio.sleep(0.02)
            assert time.monotonic() - began_s < 30
        group.cancel_scope.cancel()
    assert processes_about(Path("sleep 3018")) == []


async def test_work_directory_that_was_removed_does_not_come_back_half(
    video: SourceVideo, tmp_path: Path
) -> None:
    scripts = foreign(tmp_path, detect=echoing(GOOD))
    below = replace(scripts, work_dir=tmp_path / ".out.mkv.drapto" / "legacy")
    with pytest.raises(FileNotFoundError):
        await LegacyDetection(below).analyze(video, EncodeOptions(), lambda _frames: None)
    assert not (tmp_path / ".out.mkv.drapto").exists()
