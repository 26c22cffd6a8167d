"""Real files with one thing wrong: each gets the outcome that it deserves.

Legacy is an honest encode of the source, new is what a faulty encoder would leave.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import anyio
import imageio_ffmpeg
import pytest

from drapto.core.comparators.encoding import compare_encoding, why_incomparable
from drapto.core.comparators.verdict import Terms, verdict
from drapto.core.comparison import FieldResult, Outcome, Severity
from drapto.core.flag_policy import Tolerances
from drapto.core.media import CropRect
from drapto.core.output_summary import OutputSummary
from drapto.infrastructure.ffmpeg.footage import output_footage
from drapto.infrastructure.ffmpeg.quality import measure_quality
from drapto.infrastructure.ffmpeg.summary import summarize_file
from tests.media import clips
from tests.media.outputs import MARKS, TRACKS, attached, faithful, remuxed
from tests.media.tracks import rich_tracks

FFMPEG = Path(imageio_ffmpeg.get_ffmpeg_exe())
NO_GERMAN = ("-map", "0:v:0", "-map", "0:a", "-map", "0:s:1")
SWAPPED = ("-map", "0:v:0", "-map", "0:a:1", "-map", "0:a:0", "-map", "0:s")
LATE = ("-map", "0:v:0", "-map", "1:a:0", "-map", "0:a:1", "-map", "0:s")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rich_tracks(tmp_path_factory.mktemp("wrong"))


@pytest.fixture(scope="module")
def honest(source: Path) -> Path:
    return faithful(source)


async def summary(path: Path, source: Path, crop: CropRect | None = None) -> OutputSummary:
    """With VMAF where it can be measured."""
    found = await summarize_file(path, crop=crop)
    original, output = await output_footage(source), await output_footage(path)
    if found.frames != len(original.index) or output.picture != original.picture:
        return found
    quality = await measure_quality(FFMPEG, original, output, scratch_dir=path.parent)
    return found.model_copy(update={"quality": quality})


@pytest.fixture(scope="module")
def honest_summary(honest: Path, source: Path) -> OutputSummary:
    return anyio.run(summary, honest, source)


async def compared(
    legacy: OutputSummary, new: OutputSummary, source: Path
) -> tuple[FieldResult, ...]:
    return compare_encoding(
        legacy,
        new,
        Terms(Tolerances(), today=date(2026, 1, 1)),
        source=await summarize_file(source, decode=False),
    )


def worst(fields: tuple[FieldResult, ...]) -> set[str]:
    gravest = Severity.CRITICAL
    if not any(f.severity is gravest for f in fields):
        gravest = Severity.MISMATCH
    return {f.field for f in fields if f.severity is gravest}


def reencoded(source: Path, out: Path, graph: str = "null", crf: str = "50") -> Path:
    extras = attached(source.parent / "rich.ttf", source.parent / "rich.png")
    codecs = ("-c:v:0", "libsvtav1", "-preset", "12", "-crf", crf, "-pix_fmt", "yuv420p10le")
    codecs += ("-vf", graph, "-c:a:0", "libopus", "-b:a:0", "64k", "-c:a:1", "copy")
    clips.ffmpeg("-i", source, *TRACKS, *codecs, "-c:s", "copy", "-fps_mode", "passthrough",
                 *extras, *MARKS, out)  # fmt: skip
    return out


async def test_the_same_encode_done_twice_matches(
    source: Path, honest_summary: OutputSummary, tmp_path: Path
) -> None:
    again = reencoded(source, tmp_path / "again.mkv")
    fields = await compared(honest_summary, await summary(again, source), source)
    assert verdict(fields)[0] is Outcome.MATCH, worst(fields)
    assert {"vmaf.mean", "tracks[1].start"} <= {f.field for f in fields}


Maker = Callable[[Path, Path, Path], Path]

WRONG: dict[str, tuple[Maker, Outcome, set[str]]] = {
    "a missing subtitle": (
        lambda s, h, out: remuxed(h, out, maps=NO_GERMAN),
        Outcome.CRITICAL, {"tracks[3]"},
    ),
    "a wrong language": (
        lambda s, h, out: remuxed(h, out, "-metadata:s:a:1", "language=ita"),
        Outcome.CRITICAL, {"tracks[2].language"},
    ),
    "late audio": (
        lambda s, h, out: remuxed(
            h, out, "-disposition:a:0", "default", more_inputs=("-itsoffset", "0.2", "-i", str(h)),
            maps=LATE,
        ),
        Outcome.CRITICAL, {"tracks[1].start", "tracks[1].end"},
    ),
    "tracks in another order": (
        lambda s, h, out: remuxed(h, out, maps=SWAPPED),
        Outcome.CRITICAL, {"tracks.order"},
    ),
    "a subtitle that is no longer forced": (
        lambda s, h, out: remuxed(h, out, "-disposition:s:0", "0"),
        Outcome.CRITICAL, {"tracks[3].forced"},
    ),
    "a dropped frame": (
        lambda s, h, out: reencoded(s, out, "select='not(eq(n,30))'"),
        Outcome.CRITICAL, {"frames"},
    ),
    "a doubled frame": (
        lambda s, h, out: reencoded(s, out, "loop=1:1:30,setpts=N/24/TB"),
        Outcome.CRITICAL, {"frames"},
    ),
    "cropped by 4": (
        lambda s, h, out: reencoded(s, out, "crop=320:176:0:2"),
        Outcome.CRITICAL, {"picture.height"},
    ),
    "CRF +10": (
        lambda s, h, out: reencoded(s, out, crf="60"),
        Outcome.MISMATCH, {"size.ratio", "vmaf.mean", "vmaf.p1"},
    ),
    "no chapters": (
        lambda s, h, out: remuxed(h, out, "-map_chapters", "-1"),
        Outcome.CRITICAL, {"chapters"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(WRONG))
async def test_a_wrong_output_gets_what_it_deserves(
    name: str, source: Path, honest: Path, honest_summary: OutputSummary, tmp_path: Path
) -> None:
    make, expected, fields_expected = WRONG[name]
    new = await summary(make(source, honest, tmp_path / "new.mkv"), source)
    fields = await compared(honest_summary, new, source)
    outcome, reason = verdict(fields)
    assert (outcome, worst(fields)) == (expected, fields_expected), reason


async def test_the_same_fault_of_legacy_is_legacys_error(
    source: Path, honest: Path, honest_summary: OutputSummary, tmp_path: Path
) -> None:
    late = WRONG["late audio"][0](source, honest, tmp_path / "late.mkv")
    legacy = await summary(late, source)
    outcome, reason = verdict(await compared(legacy, honest_summary, source))
    assert outcome is Outcome.LEGACY_ERROR, reason


async def test_lost_hdr_is_critical(tmp_path: Path) -> None:
    source = clips.hdr10(tmp_path, frames=12)
    svt = ("-c:v", "libsvtav1", "-preset", "12", "-crf", "40", "-pix_fmt", "yuv420p10le")
    kept, lost = tmp_path / "kept.mkv", tmp_path / "lost.mkv"
    clips.ffmpeg("-i", source, *svt, kept)
    clips.ffmpeg("-i", source, "-vf", "setparams=color_trc=bt709", *svt, lost)
    fields = await compared(await summary(kept, source), await summary(lost, source), source)
    assert verdict(fields)[0] is Outcome.CRITICAL
    assert "dynamic_range" in worst(fields)


async def test_outputs_of_different_crops_are_incomparable(source: Path, honest: Path) -> None:
    crop = CropRect(width=320, height=132, x=0, y=24)
    legacy = await summarize_file(honest, decode=False)
    new = await summarize_file(honest, crop=crop, decode=False)
    assert verdict((), why_incomparable(legacy, new))[0] is Outcome.INCOMPARABLE
