"""docs/legacy-contract.md against the code: every variable, every key, every example."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path

import pytest

from drapto.core.job import EncodeOptions
from drapto.core.media import Value
from drapto.core.segments import Segment, VideoSettings
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from drapto.services.encoding.tasks import make_tasks
from drapto.services.legacy.contract import (
    ColorReport,
    DetectionReport,
    EncodingReport,
    SegmentationReport,
    SegmentReport,
)
from drapto.services.legacy.variables import (
    detection_variables,
    encoding_variables,
    segmentation_variables,
)
from tests.media import clips

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "legacy-contract.md").read_text()
STAGES: dict[str, tuple[type[Value], ...]] = {
    "detect": (DetectionReport, ColorReport),
    "segment": (SegmentReport,),
    "encode_segment": (EncodingReport,),
}
COMMON = {"DRAPTO_WORK_DIR", "DRAPTO_FFMPEG"}  # what `Scripts.call` adds


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def listed(text: str) -> set[str]:
    """Every name in the first column of the section's tables."""
    cells = re.findall(r"^\| (`[^|]+`) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize("stage", list(STAGES))
async def test_variables_are_those_a_script_gets(stage: str, tmp_path: Path) -> None:
    reader = PyAvReader()
    media = await reader.probe(clips.silent(tmp_path, frames=5))
    video = await reader.open_video(media, media.tracks[0], tmp_path)
    size = {"width": 320, "height": 180, "source_width": 320, "source_height": 180}
    settings = VideoSettings.model_validate({**size, "frame_rate": Fraction(24)})
    (task,) = make_tasks(video, [Segment(index=0, start=0, end=5)], settings, tmp_path)
    told = {
        "detect": [detection_variables(video, EncodeOptions())],
        "segment": [segmentation_variables(video, EncodeOptions(), tmp_path)],
        "encode_segment": [
            encoding_variables(task, tmp_path / "out.mkv", file=file, vmaf_target=None)
            for file in (None, tmp_path / "piece.mkv")
        ],
    }
    written = {n for n in listed(section("What every script gets")) | listed(section(stage))
               if n.startswith("DRAPTO_")}  # fmt: skip
    for variables in told[stage]:
        assert set(variables) | COMMON == written


@pytest.mark.parametrize("stage", list(STAGES))
def test_keys_are_those_a_script_may_print(stage: str) -> None:
    written = {name for name in listed(section(stage)) if not name.startswith("DRAPTO_")}
    assert written == {name for model in STAGES[stage] for name in model.model_fields}


@pytest.mark.parametrize("stage", list(STAGES))
def test_examples_keep_to_the_contract(stage: str) -> None:
    examples = re.findall(r"```json\n(.*?)```", section(stage), re.DOTALL)
    assert examples
    model = SegmentationReport if stage == "segment" else STAGES[stage][0]
    for example in examples:
        assert json.loads(example)
        model.model_validate_json(example, strict=True)
