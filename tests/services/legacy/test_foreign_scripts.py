"""Scripts of another team: another shape, and everything that can go wrong with them."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from drapto.bootstrap.stages import legacy_stages, make_workshop
from drapto.core.analysis import FieldOrder, VideoAnalysis
from drapto.core.deinterlacing import Deinterlacing, Method
from drapto.core.errors import (
    DraptoError,
    InputError,
    MissingToolError,
    ProcessFailedError,
    ResourceError,
    ScriptContractError,
    SegmentFailedError,
    UsageError,
    ValidationFailedError,
)
from drapto.core.job import EncodeOptions, JobRequest
from drapto.core.media import CropRect, DynamicRange
from drapto.core.segments import Segment, VideoSettings
from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg, inspect_ffmpeg
from drapto.infrastructure.ffmpeg.inspector import DecodingInspector
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from drapto.infrastructure.resources import ResourceManager
from drapto.infrastructure.settings import Settings
from drapto.services.detection.deinterlacing import decide_deinterlacing
from drapto.services.encoding.longest_first import LongestFirst
from drapto.services.encoding.tasks import make_tasks
from drapto.services.legacy.adapter import (
    LegacyDetection,
    LegacyEncoding,
    LegacySegmentation,
    ScriptSegmentExecutor,
)
from drapto.services.orchestrator import VideoOrchestrator
from drapto.services.stages import FixedStages
from tests.end_to_end.program import processes_about
from tests.legacy import foreign, packaged
from tests.media import clips, film
from tests.services.test_encoding_contract import OpenSlots

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


SIZE = {"width": 320, "height": 180, "source_width": 320, "source_height": 180}


class Heard:
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def emit(self, event: object) -> None:
        if type(event).__name__ == "Warned":
            self.warnings.append(str(getattr(event, "message", "")))


async def opened(path: Path, directory: Path) -> SourceVideo:
    reader = PyAvReader()
    media = await reader.probe(path)
    return await reader.open_video(media, media.tracks[0], directory)


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


async def test_what_a_script_leaves_out_is_named(video: SourceVideo, tmp_path: Path) -> None:
    short = '#!/bin/sh\necho \'{"dynamic_range": "sdr", "crop": null}\'\n'
    detection = LegacyDetection(foreign(tmp_path, detect=short))
    found = await detection.analyze(video, EncodeOptions(), lambda _frames: None)
    assert {"cuts", "interlacing", "grain", "color", "complexity"} <= set(found.unreported)
    full = short.replace(
        "null}", 'null, "cuts": [], "interlacing": "tff", "grain": 1, "color": {}}'
    )
    detection = LegacyDetection(foreign(tmp_path, detect=full))
    found = await detection.analyze(video, EncodeOptions(), lambda _frames: None)
    assert not {"cuts", "interlacing", "grain", "color"} & set(found.unreported)


@pytest.mark.parametrize("order", list(FieldOrder))
@pytest.mark.parametrize("told", [True, False])
async def test_telecined_film_is_taken_apart_whether_or_not_the_script_tells_the_order(
    order: FieldOrder, told: bool, tmp_path: Path
) -> None:
    fields = film.telecined(film.shot(5, 48, step=(3, 1)), top_first=order is FieldOrder.TOP_FIRST)
    video = await opened(film.write_film(tmp_path / "pulldown.mkv", fields, fps=30), tmp_path)
    said = f', "field_order": "{order}"' if told else ""
    report = f'{{"dynamic_range": "sdr", "crop": null, "interlacing": "telecined"{said}}}'
    detection = LegacyDetection(foreign(tmp_path, detect=f"#!/bin/sh\necho '{report}'\n"))
    analysis = await detection.analyze(video, EncodeOptions(), lambda _frames: None)
    assert analysis.field_order == (order if told else None)
    work = await decide_deinterlacing(PyAvReader(), video, analysis, "auto")
    assert (work.method, work.field_order) == (Method.IVTC, order)
    assert len(work.dropped) == 12
    assert work.loose_frames <= 1


async def test_field_order_that_goes_against_what_was_found_is_refused(
    video: SourceVideo, tmp_path: Path
) -> None:
    report = '{"dynamic_range": "sdr", "crop": null, "interlacing": "tff", "field_order": "bff"}'
    detection = LegacyDetection(foreign(tmp_path, detect=f"#!/bin/sh\necho '{report}'\n"))
    with pytest.raises(ScriptContractError, match="field_order"):
        await detection.analyze(video, EncodeOptions(), lambda _frames: None)


@pytest.mark.parametrize("said", list(DynamicRange))
async def test_dynamic_range_that_a_script_names_holds(said: DynamicRange, tmp_path: Path) -> None:
    text = f'#!/bin/sh\necho \'{{"dynamic_range": "{said.value}", "crop": null}}\'\n'
    scripts = foreign(tmp_path, detect=text)
    for builder in (clips.hdr10, clips.silent):
        video = await opened(builder(tmp_path), tmp_path)
        found = await LegacyDetection(scripts).analyze(video, EncodeOptions(), lambda _f: None)
        assert found.color.dynamic_range is said


def echoing(text: str) -> str:
    return f"#!/bin/sh\ncat <<'EOT'\n{text}\nEOT\n"


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


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ('{"segments": []}', "segments: "),
        ('{"segments": [{"start": 0, "end": 23}]}', "hold 23 frames, the source has 24"),
        ('{"segments": [{"start": 0, "end": 25}]}', "hold 25 frames, the source has 24"),
        ('{"segments": [{"start": 1, "end": 24}]}', "segment 0 covers frames 1 to 24"),
        ('{"segments": [{"start": 0, "end": 9}, {"start": 8, "end": 24}]}', "segment 1 covers"),
        ('{"segments": [{"start": 9, "end": 9}]}', "segment 0 covers"),
        ('{"segments": [{"path": "gone.mkv", "frames": 24}]}', "gone.mkv, does not exist"),
        ('{"segments": [{"path": "gone.mkv"}]}', "needs path and frames, or start and end"),
    ],
)
async def test_segments_that_do_not_cover_the_film_are_refused(
    printed: str, said: str, video: SourceVideo, tmp_path: Path
) -> None:
    segmentation = LegacySegmentation(foreign(tmp_path, segment=echoing(printed)))
    with pytest.raises(ScriptContractError, match=said):
        await segmentation.plan(video, VideoAnalysis(scenes=()), EncodeOptions())


async def encoded(executor: ScriptSegmentExecutor, video: SourceVideo, segment: Segment) -> int:
    """Run the stage over one segment; which attempt it was."""
    settings = VideoSettings(**SIZE, preset=12, crf=45, frame_rate=24)
    tasks = LongestFirst(make_tasks(video, [segment], settings, video.path.parent))
    tasks.close()
    attempts: list[int] = []

    async def on_done(done: object) -> None:
        attempts.append(getattr(done, "attempt", -1))

    await LegacyEncoding(executor, OpenSlots()).encode(
        tasks,
        workers=1,
        on_progress=lambda _segment, _frames: None,
        on_retry=lambda _segment, _attempt, _reason: None,
        on_done=on_done,
    )
    (attempt,) = attempts
    return attempt


async def test_segment_of_its_own_is_read_and_the_source_where_that_is_wrong(
    tmp_path: Path,
) -> None:
    video = await opened(clips.silent(tmp_path, frames=48), tmp_path)
    right, wrong = tmp_path / "right.mkv", tmp_path / "wrong.mkv"
    clips.ffmpeg("-i", video.path, "-c", "copy", "-frames:v", "24", right)
    clips.ffmpeg("-i", video.path, "-c", "copy", "-frames:v", "20", wrong)
    executor = ScriptSegmentExecutor(packaged(tmp_path), DecodingInspector())
    segment = Segment(index=0, start=0, end=24, path=right)
    assert await encoded(executor, video, segment) == 0
    assert await encoded(executor, video, segment.model_copy(update={"path": wrong})) == 1
    gone = segment.model_copy(update={"path": tmp_path / "gone.mkv"})
    assert await encoded(executor, video, gone) == 0
    unreadable = replace(video, path=tmp_path / "source is gone.mkv")
    assert await encoded(executor, unreadable, segment) == 0  # the file was read, not the source


async def test_encoder_without_a_file_is_refused(video: SourceVideo, tmp_path: Path) -> None:
    lazy = echoing('{"frames": 24}')
    executor = ScriptSegmentExecutor(foreign(tmp_path, encode_segment=lazy), DecodingInspector())
    with pytest.raises(ScriptContractError, match="no file at DRAPTO_OUTPUT"):
        await encoded(executor, video, Segment(index=0, start=0, end=24))


async def test_encoder_that_does_not_say_that_it_deinterlaced_is_refused(
    video: SourceVideo, tmp_path: Path
) -> None:
    """Combs cannot be seen from outside: the frames are all there."""
    silent = echoing('{"frames": 24}')
    executor = ScriptSegmentExecutor(foreign(tmp_path, encode_segment=silent), DecodingInspector())
    in_fields = video.deinterlaced(Deinterlacing(method=Method.BWDIF))
    with pytest.raises(ScriptContractError, match="does not say that it used DRAPTO_DEINTERLACE"):
        await encoded(executor, in_fields, Segment(index=0, start=0, end=24))


async def test_encoder_that_fails_is_tried_again_and_every_reason_told(
    video: SourceVideo, tmp_path: Path
) -> None:
    failing = "#!/bin/sh\necho tried >>tries\necho out of luck >&2\nexit 1\n"
    scripts = foreign(tmp_path, encode_segment=failing)
    executor = ScriptSegmentExecutor(scripts, DecodingInspector())
    with pytest.raises(SegmentFailedError, match=r"\(1\).*out of luck.*\(2\).*out of luck"):
        await encoded(executor, video, Segment(index=0, start=0, end=24))
    assert (scripts.work_dir / "tries").read_text() == "tried\n" * 2


async def test_other_encoders_than_svt_av1_are_a_usage_error(
    video: SourceVideo, tmp_path: Path
) -> None:
    settings = VideoSettings(**SIZE, encoder="x265", frame_rate=24)
    (task,) = make_tasks(video, [Segment(index=0, start=0, end=24)], settings, tmp_path)
    executor = ScriptSegmentExecutor(packaged(tmp_path), DecodingInspector())
    with pytest.raises(UsageError, match="svt-av1 only, not with x265"):
        await executor.run(task, lambda _frames: None)
