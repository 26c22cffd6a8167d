"""Subtitles and chapters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.media.clips import FONT_BYTES, ffmpeg, pattern, tone, x264
from tests.media.corpus.entry import Chapter, Elsewhere, Entry, Sound, Text, Truth, even
from tests.media.ebml import Atom, with_chapters
from tests.media.pgs import pgs

FRAMES, RATE = 24, 24
CUES_S = ((0.1, 0.4), (0.5, 0.9))
PICTURE = Truth("", frames=FRAMES, times_s=even(FRAMES, RATE), width=96, height=64)
"""What is true of the picture of every entry here."""

SRT = """1
00:00:00,100 --> 00:00:00,400
Olá <i>mundo</i>

2
00:00:00,500 --> 00:00:00,900
Größe & Maß: 100 %
"""
SRT_OVERLAPPING = """1
00:00:00,100 --> 00:00:00,800
Above

2
00:00:00,300 --> 00:00:00,500
Below
"""
ASS = """[Script Info]
ScriptType: v4.00+
PlayResX: 96
PlayResY: 64

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Alignment
Style: Default,Some Font,20,&H00FFFFFF,2

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.10,0:00:00.40,Default,,0,0,0,,{\\pos(10,20)\\b1}Styled{\\b0} words, with a comma
Dialogue: 1,0:00:00.10,0:00:00.40,Default,,0,0,0,,Above them
Dialogue: 0,0:00:00.50,0:00:00.90,Default,,0,0,0,,Two\\Nlines
"""


def _with(name: str, make: Callable[[Path], Path], *options: str) -> Callable[[Path], Path]:
    """A builder: the picture with the subtitles that `make` writes."""

    def build(directory: Path) -> Path:
        out = directory / name
        source = ("-i", make(directory))
        ffmpeg("-copyts", *pattern(FRAMES, size="96x64"), *source, *x264(), *options, out)
        return out

    return build


def _written(name: str, text: str) -> Callable[[Path], Path]:
    def write(directory: Path) -> Path:
        path = directory / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def _pgs(directory: Path) -> Path:
    return pgs(directory / "cues.sup", CUES_S)


def ass_with_fonts(directory: Path) -> Path:
    """ASS, and two fonts, one with a name that is no plain one."""
    out = directory / "ass.mkv"
    arguments: list[str | Path] = []
    for number, name in enumerate(FONTS):
        font = directory / f"font{number}"
        font.write_bytes(FONT_BYTES + bytes([number]))
        arguments += ["-attach", font, f"-metadata:s:t:{number}", "mimetype=font/ttf"]
        arguments += [f"-metadata:s:t:{number}", f"filename={name}"]
    script = _written("cues.ass", ASS)(directory)
    inputs = ("-copyts", *pattern(FRAMES, size="96x64"), "-i", script)
    ffmpeg(*inputs, *x264(), "-c:s", "ass", "-disposition:s:0", "default", *arguments, out)
    return out


FONTS = ("Some Font.ttf", "ゴシック 'bold'.otf")


def _chapters(name: str, *editions: tuple[Atom, ...]) -> Callable[[Path], Path]:
    """A builder: picture and sound with these chapters."""

    def build(directory: Path) -> Path:
        plain = directory / "plain.mkv"
        ffmpeg(*pattern(FRAMES, size="96x64"), *tone(1), *x264(), "-c:a", "aac", plain)
        out = with_chapters(plain, directory / name, *editions)
        plain.unlink()
        return out

    return build


def mp4_chapters(directory: Path) -> Path:
    """MP4 with chapters, its times on a clock of 90 kHz."""
    out = directory / "chapters.mp4"
    listed = directory / "chapters.txt"
    listed.write_text(
        ";FFMETADATA1\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=400\ntitle=Início\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=400\nEND=1000\ntitle=#2; a=b \\\\ fim\n",
        encoding="utf-8",
    )
    inputs = (*pattern(FRAMES, size="96x64"), *tone(1), "-i", str(listed))
    ffmpeg(*inputs, "-map_metadata", "2", "-map_chapters", "2", *x264(), "-c:a", "aac", out)
    return out


AAC = Sound("aac", duration_s=1.0)

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "text_srt_forced",
        _with(
            "srt.mkv",
            _written("cues.srt", SRT),
            *("-c:s", "subrip", "-metadata:s:s:0", "language=por", "-disposition:s:0", "forced"),
        ),
        replace(
            PICTURE,
            what="SubRip with accents and a tag, marked as forced.",
            subtitles=(Text("subrip", 2, "por", frozenset({"forced"})),),
            mp4=Elsewhere(subtitles=(Text("mov_text", None, "por", frozenset({"forced"})),)),
            webm=Elsewhere(subtitles=(Text("webvtt", 2, "por", frozenset({"forced"})),)),
        ),
        mp4=True,
        webm=True,
    ),
    Entry(
        "text_srt_overlapping",
        _with("overlapping.mkv", _written("cues.srt", SRT_OVERLAPPING), "-c:s", "subrip"),
        replace(
            PICTURE,
            what="SubRip with a cue inside another one, which MP4 cannot show.",
            subtitles=(Text("subrip", 2),),
            mp4=Elsewhere(subtitles=(Text("mov_text", None),), named=frozenset({"cue_ends"})),
            webm=Elsewhere(subtitles=(Text("webvtt", 2),)),
        ),
        mp4=True,
        webm=True,
    ),
    Entry(
        "text_ass_with_fonts",
        ass_with_fonts,
        replace(
            PICTURE,
            what="ASS with positions and layers, and the two fonts it is set in.",
            subtitles=(Text("ass", 3, "", frozenset({"default"})),),
            attachments=FONTS,
            mp4=Elsewhere(
                subtitles=(Text("mov_text", None, "", frozenset({"default"})),),
                attachments=(),
                named=frozenset({"track_dropped", "cue_ends"}),
            ),
        ),
        mp4=True,
    ),
    Entry(
        "text_pgs",
        _with("pgs.mkv", _pgs, "-c:s", "copy", "-metadata:s:s:0", "language=jpn"),
        replace(
            PICTURE,
            what="Blu-ray subtitles: pictures, each taken away by an empty one.",
            subtitles=(Text("hdmv_pgs_subtitle", 4, "jpn"),),
            mp4=Elsewhere(subtitles=(), named=frozenset({"track_dropped"})),
            webm=Elsewhere(subtitles=(), named=frozenset({"track_dropped"})),
        ),
        mp4=True,
        webm=True,
    ),
    Entry(
        "text_vobsub",
        _with("vobsub.mkv", _pgs, "-c:s", "dvdsub", "-metadata:s:s:0", "language=spa"),
        replace(
            PICTURE,
            what="DVD subtitles: pictures with a palette in the header of the track.",
            subtitles=(Text("dvd_subtitle", 2, "spa"),),
        ),
    ),
    Entry(
        "text_dvb",
        _with("dvb.ts", _pgs, "-c:s", "dvbsub", "-metadata:s:s:0", "language=dut"),
        replace(
            PICTURE,
            what="DVB subtitles in MPEG-TS: pictures with page numbers.",
            subtitles=(Text("dvb_subtitle", 4, "dut"),),
        ),
    ),
    Entry(
        "text_mov_text",
        _with(
            "text.mp4",
            _written("cues.srt", SRT),
            *("-c:s", "mov_text", "-metadata:s:s:0", "language=por"),
        ),
        replace(
            PICTURE,
            what="The text track of MP4, with an empty sample between its cues.",
            subtitles=(Text("mov_text", None, "por", frozenset({"default"})),),
            mkv=Elsewhere(subtitles=(Text("subrip", 2, "por", frozenset({"default"})),)),
            mp4=Elsewhere(named=frozenset({"payload"})),
        ),
        mp4=True,
    ),
    Entry(
        "chapters_mp4",
        mp4_chapters,
        replace(
            PICTURE,
            what="The text track in which MP4 keeps chapters, and titles full of marks.",
            audio=(replace(AAC, dispositions=frozenset({"default"})),),
            chapters=(Chapter("Início", 0, 0.4), Chapter("#2; a=b \\ fim", 0.4, 1)),
        ),
        mp4=True,
    ),
    Entry(
        "chapters_overlapping",
        _chapters(
            "overlapping.mkv",
            (Atom("One", 0, 0.6), Atom("Two", 0.4, 1), Atom("", 0.9, 0.95), Atom("Four", 0.2, 0.3)),
        ),
        replace(
            PICTURE,
            what="Chapters that overlap, out of order, one without a title.",
            audio=(AAC,),
            chapters=(
                Chapter("One", 0, 0.6),
                Chapter("Four", 0.2, 0.3),
                Chapter("Two", 0.4, 1),
                Chapter("", 0.9, 0.95),
            ),
        ),
    ),
    Entry(
        "chapters_nested",
        _chapters(
            "nested.mkv",
            (
                Atom("Part 1", 0, 0.5, (Atom("Scene 1.1", 0, 0.2), Atom("Scene 1.2", 0.2, 0.5))),
                Atom("Part 2", 0.5, 1, (Atom("Scene 2.1", 0.5, 1, (Atom("Shot", 0.6, 0.7),)),)),
            ),
        ),
        replace(
            PICTURE,
            what="Chapters in chapters, three deep.",
            audio=(AAC,),
            chapters=(
                Chapter("Part 1", 0, 0.5),
                Chapter("Scene 1.1", 0, 0.2),
                Chapter("Scene 1.2", 0.2, 0.5),
                Chapter("Part 2", 0.5, 1),
                Chapter("Scene 2.1", 0.5, 1),
                Chapter("Shot", 0.6, 0.7),
            ),
            says=("4 chapters within other chapters",),
            named=frozenset({"chapter_nesting"}),
            mp4=Elsewhere(
                chapters=(
                    Chapter("Part 1", 0, 0.2),
                    Chapter("Scene 1.2", 0.2, 0.5),
                    Chapter("Part 2", 0.5, 0.6),
                    Chapter("Shot", 0.6, 0.7),
                ),
                named=frozenset({"track_dropped"}),
            ),
        ),
        mp4=True,
    ),
)
