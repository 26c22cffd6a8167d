"""Many tracks, dispositions, languages, attachments, covers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.media.clips import FONT_BYTES, ffmpeg, pattern, tone, x264
from tests.media.corpus.entry import Chapter, Elsewhere, Entry, Sound, Text, Truth, even
from tests.media.ebml import with_languages
from tests.media.tracks import CHAPTERS

FRAMES, RATE = 24, 24
PICTURE = Truth("", frames=FRAMES, times_s=even(FRAMES, RATE), width=96, height=64)
"""What is true of the picture of every entry here."""

AAC = Sound("aac", channels=1, duration_s=1.0)
CUE = "1\n00:00:00,200 --> 00:00:00,800\nA word\n"

MARKS = {
    "default": "eng",
    "original": "jpn",
    "comment": "fre",
    "hearing_impaired": "ger",
    "visual_impaired": "spa",
    "dub": "por",
}
"""What each audio track is marked as, and its language."""

IN_MP4 = {
    "original": frozenset[str](),
    "hearing_impaired": frozenset({"hearing_impaired", "captions"}),
    "visual_impaired": frozenset({"visual_impaired", "descriptions"}),
}
"""How marks read in MP4, which has no word for one of them, and one word for two of others."""

IN_WEBM = {mark: frozenset[str]() for mark in MARKS if mark != "default"}


def marked(directory: Path) -> Path:
    """One audio and one subtitle track for each of MARKS."""
    out = directory / "marked.mkv"
    cue = directory / "cue.srt"
    cue.write_text(CUE)
    inputs = [*pattern(FRAMES, size="96x64"), *tone(1, channels="mono"), "-i", str(cue)]
    options = ["-map", "0:v"]
    for kind, source in (("a", 1), ("s", 2)):
        for place, (mark, language) in enumerate(MARKS.items()):
            options += ["-map", f"{source}:0", f"-disposition:{kind}:{place}", mark]
            options += [f"-metadata:s:{kind}:{place}", f"language={language}"]
    ffmpeg(*inputs, *options, *x264(), "-c:a", "aac", "-b:a", "32k", "-c:s", "subrip", out)
    return out


def _sounds(known: dict[str, frozenset[str]]) -> tuple[Sound, ...]:
    return tuple(
        replace(AAC, language=language, dispositions=known.get(mark, frozenset({mark})))
        for mark, language in MARKS.items()
    )


def _texts(codec: str, cues: int | None, known: dict[str, frozenset[str]]) -> tuple[Text, ...]:
    return tuple(
        Text(codec, cues, language, known.get(mark, frozenset({mark})))
        for mark, language in MARKS.items()
    )


def _languages(directory: Path, *codes: str) -> Path:
    """Mono tracks with these languages as Matroska's old element has them."""
    out = directory / "languages.mkv"
    options = ["-map", "0:v"]
    for place, code in enumerate(codes):
        options += ["-map", "1:a", f"-metadata:s:a:{place}", f"language={code}"]
        options += [f"-disposition:a:{place}", "0"]
    inputs = (*pattern(FRAMES, size="96x64"), *tone(1, channels="mono"))
    ffmpeg(*inputs, *options, *x264(), "-c:a", "aac", "-b:a", "32k", out)
    return out


def odd_languages(directory: Path) -> Path:
    """'und', none at all, a tag where a code should be, and a code of ISO 639-2/T."""
    return _languages(directory, "und", "", "pt-BR", "deu")


def tagged_languages(directory: Path) -> Path:
    """As mkvmerge writes it: a code for old readers, and a tag of RFC 5646 for new ones."""
    plain = _languages(directory, "por", "chi", "eng")
    out = with_languages(plain, directory / "tagged.mkv", {1: "pt-BR", 2: "zh-Hant-TW"})
    plain.unlink()
    return out


def two_covers(directory: Path) -> Path:
    """A JPEG and a PNG cover, a font, tags and chapters."""
    out = directory / "covers.mkv"
    listed, font = directory / "chapters.txt", directory / "font"
    listed.write_text(CHAPTERS.replace("1200", "500").replace("3000", "1000"))
    font.write_bytes(FONT_BYTES)
    pictures = [_cover(directory / "front.jpg"), _cover(directory / "back.png")]
    attached: list[str | Path] = []
    kinds = ("image/jpeg", "image/png", "font/ttf")
    for place, (file, kind) in enumerate(zip((*pictures, font), kinds, strict=True)):
        name = "Font.ttf" if file is font else file.name
        attached += ["-attach", file, f"-metadata:s:t:{place}", f"mimetype={kind}"]
        attached += [f"-metadata:s:t:{place}", f"filename={name}"]
    inputs = (*pattern(FRAMES, size="96x64"), *tone(1, channels="mono"), "-i", str(listed))
    maps = ("-map", "0:v", "-map", "1:a", "-map_metadata", "2", "-map_chapters", "2")
    ffmpeg(*inputs, *maps, *x264(), "-c:a", "aac", *attached, out)
    return out


def _cover(path: Path) -> Path:
    pixels = "yuvj420p" if path.suffix == ".jpg" else "rgb24"
    teal = ("-f", "lavfi", "-i", "color=c=teal:s=32x48:d=1")
    ffmpeg(*teal, "-frames:v", "1", "-update", "1", "-pix_fmt", pixels, path)
    return path


def mp4_cover(directory: Path) -> Path:
    """MP4 with a JPEG cover as iTunes writes it."""
    out, picture = directory / "cover.mp4", _cover(directory / "cover.jpg")
    inputs = (*pattern(FRAMES, size="96x64"), *tone(1, channels="mono"), "-i", str(picture))
    maps = ("-map", "0:v", "-map", "1:a", "-map", "2:v", *x264(), "-c:v:1", "copy")
    ffmpeg(*inputs, *maps, "-c:a", "aac", "-disposition:v:1", "attached_pic", out)
    return out


def timecode(directory: Path) -> Path:
    """QuickTime whose timecode is a track of its own."""
    out = directory / "timecode.mov"
    inputs = (*pattern(FRAMES, size="96x64"), *tone(1, channels="mono"))
    ffmpeg(*inputs, *x264(), "-c:a", "aac", "-timecode", "01:02:03:04", out)
    return out


FIRST = frozenset({"default"})

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "tracks_marked",
        marked,
        replace(
            PICTURE,
            what="Every mark of a track in Matroska: default, comment, for the deaf, and more.",
            audio=_sounds({}),
            subtitles=_texts("subrip", 1, {}),
            mp4=Elsewhere(
                audio=_sounds(IN_MP4),
                subtitles=_texts("mov_text", None, IN_MP4),
                named=frozenset({"dispositions"}),
            ),
            webm=Elsewhere(
                audio=_sounds(IN_WEBM),
                subtitles=_texts("webvtt", 1, IN_WEBM),
                named=frozenset({"dispositions"}),
            ),
        ),
        mp4=True,
        webm=True,
    ),
    Entry(
        "languages_odd",
        odd_languages,
        replace(
            PICTURE,
            what="Languages 'und', none, 'pt-BR' in the place of a code, and 'deu'.",
            audio=tuple(replace(AAC, language=code) for code in ("und", "", "pt-BR", "deu")),
        ),
    ),
    Entry(
        "languages_tagged",
        tagged_languages,
        replace(
            PICTURE,
            what="Portuguese as spoken in Brazil, and Chinese as written in Taiwan.",
            audio=tuple(replace(AAC, language=code) for code in ("pt-BR", "zh-Hant-TW", "eng")),
            mp4=Elsewhere(
                audio=tuple(replace(AAC, language=code) for code in ("por", "chi", "eng")),
                named=frozenset({"language_tag"}),
            ),
        ),
        mp4=True,
        webm=True,
    ),
    Entry(
        "covers_and_font",
        two_covers,
        replace(
            PICTURE,
            what="Two covers, a font, tags and chapters in one file.",
            audio=(AAC,),
            chapters=(Chapter("First part", 0, 0.5), Chapter("Zweiter Teil", 0.5, 1)),
            attachments=("Font.ttf",),
            covers=2,
            mp4=Elsewhere(attachments=(), named=frozenset({"track_dropped"})),
            webm=Elsewhere(attachments=(), covers=0, named=frozenset({"track_dropped"})),
        ),
        mp4=True,
        webm=True,
    ),
    Entry(
        "cover_mp4",
        mp4_cover,
        replace(
            PICTURE,
            what="A cover as iTunes writes it: a video stream of one picture.",
            audio=(replace(AAC, dispositions=FIRST),),
            covers=1,
        ),
        mp4=True,
    ),
    Entry(
        "timecode_track",
        timecode,
        replace(
            PICTURE,
            what="A timecode in a track of its own.",
            audio=(replace(AAC, dispositions=FIRST),),
        ),
        mp4=True,
    ),
)
