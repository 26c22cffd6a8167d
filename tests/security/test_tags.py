"""Tags, names of attachments and of covers come from strangers: they stay text."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from drapto.infrastructure.ffmpeg.metadata_file import cover_names, metadata_text
from tests.end_to_end.program import QUICK, drapto
from tests.infrastructure.ffmpeg.test_mux_arguments import VIDEO, plan_of
from tests.media.clips import ffmpeg, pattern, tone, x264
from tests.media.tracks import FONT_BYTES, _cover

INJECTED = "x\n[CHAPTER]\nTIMEBASE=1/1\nSTART=0\nEND=9\ntitle=injected"
HOSTILE = [
    INJECTED,
    "x\r[STREAM]\rtitle=injected",
    "a=b;c#d",
    ";comment",
    "#comment",
    "[CHAPTER]",
    "[STREAM]",
    "ends with \\",
    "\\\n[STREAM]",
    "\\=\\;\\#",
    "$(touch owned) `touch owned` %s %d",
    "-y",
    "\u2028\x85\x1b[31m",
    "x" * 200,
]


def read_back(text: str, directory: Path) -> tuple[dict[str, str], int, int]:
    """(tags, streams, chapters) as ffmpeg takes them from the text."""
    described, out = directory / "described.txt", directory / "out.nut"
    described.write_text(text, encoding="utf-8", newline="")
    inputs = ("-f", "ffmetadata", "-i", described, *pattern(1, size="64x64"))
    ffmpeg(*inputs, "-map", "1:v", "-map_metadata", "0", "-c:v", "ffv1", out)
    with av.open(f"file:{out}") as container:
        tags = {k: v for k, v in container.metadata.items() if k.lower() != "encoder"}
        return tags, len(container.streams), len(container.chapters())


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda text: repr(text[:20]))
def test_a_tag_is_what_it_was_and_nothing_else(hostile: str, tmp_path: Path) -> None:
    plan = plan_of(VIDEO, tags={"first": hostile, "last": "1"})
    assert read_back(metadata_text(plan, 0), tmp_path) == ({"first": hostile, "last": "1"}, 1, 0)


@pytest.mark.parametrize(
    "hostile", [text for text in HOSTILE if len(text) < 999], ids=lambda text: repr(text[:20])
)
def test_the_name_of_a_tag_begins_nothing(hostile: str, tmp_path: Path) -> None:
    plan = plan_of(VIDEO, tags={hostile: "a", "last": "1"})
    assert read_back(metadata_text(plan, 0), tmp_path) == ({hostile: "a", "last": "1"}, 1, 0)


def test_hostile_names_inside_a_file_reach_no_other_file(tmp_path: Path) -> None:
    """A font and a cover with paths for names, and tags that would be chapters; whole jobs."""
    source, output = tmp_path / "in" / "in.mkv", tmp_path / "out" / "out.mkv"
    source.parent.mkdir()
    output.parent.mkdir()
    (tmp_path / "font.ttf").write_bytes(FONT_BYTES)
    _cover(tmp_path / "cover.png")
    described = tmp_path / "tags.txt"
    lines = [";FFMETADATA1", "title=" + INJECTED.replace("\n", "\\\n").replace("=", "\\=")]
    described.write_text("\n".join(lines) + "\n")
    made = source.with_name("made.mkv")
    attached = ["-attach", tmp_path / "font.ttf", "-metadata:s:t:0", "mimetype=font/ttf"]
    attached += ["-metadata:s:t:0", "filename=../../font.ttf"]
    attached += ["-attach", tmp_path / "cover.png", "-metadata:s:t:1", "mimetype=image/png"]
    attached += ["-metadata:s:t:1", "filename=../../cover.png"]
    inputs = (*pattern(24), *tone(1), "-f", "ffmetadata", "-i", described)
    maps = ("-map", "0:v", "-map", "1:a", "-map_metadata", "2")
    ffmpeg(*inputs, *maps, *x264(), "-c:a", "aac", *attached, made)
    made.rename(source)
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

    done = drapto("encode", source, output, *QUICK)
    assert done.returncode == 0, done.stderr
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert [path.name for path in output.parent.iterdir()] == ["out.mkv"]
    with av.open(f"file:{output}") as container:
        assert container.metadata["title"] == INJECTED
        assert len(container.chapters()) == 0
        names = {s.metadata.get("filename") for s in container.streams if s.metadata}
    assert {"../../font.ttf", "../../cover.png"} <= names  # kept as the source says it


def test_no_name_of_a_cover_is_longer_than_a_command_can_be() -> None:
    """Linux takes 128 KiB in one argument (MAX_ARG_STRLEN); no file can have such a name."""
    cover = VIDEO.model_copy(update={"codec": "png", "tags": {"filename": "é" * 200_000}})
    (name,) = cover_names([cover])
    assert len(name.encode()) <= 255
    assert name.startswith("éé")
