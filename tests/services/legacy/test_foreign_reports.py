"""What scripts of another team say of a film, and what they leave out."""

from __future__ import annotations

from pathlib import Path

import pytest

from drapto.core.analysis import FieldOrder, VideoAnalysis
from drapto.core.deinterlacing import Method
from drapto.core.errors import (
    ScriptContractError,
)
from drapto.core.job import EncodeOptions
from drapto.core.media import DynamicRange
from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from drapto.services.detection.deinterlacing import decide_deinterlacing
from drapto.services.legacy.adapter import (
    LegacyDetection,
    LegacySegmentation,
)
from tests.legacy import echoing, foreign, opened
from tests.media import clips, film


@pytest.fixture
async def video(tmp_path: Path) -> SourceVideo:
    return await opened(clips.silent(tmp_path, frames=24), tmp_path)


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
