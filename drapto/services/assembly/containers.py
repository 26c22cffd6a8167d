"""What each output container can hold, by ffmpeg's codec names.

The tables follow what ffmpeg 9.0's muxers write without `-strict experimental`; they are
checked against real muxing in tests/services/assembly/test_containers.py.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from drapto.core.errors import UsageError
from drapto.core.tracks import Container

EXTENSIONS = {
    ".mkv": Container.MATROSKA,
    ".webm": Container.WEBM,
    ".mp4": Container.MP4,
    ".m4v": Container.MP4,
}

_PCM_BOTH_ENDS = frozenset(
    f"pcm_{kind}{end}" for kind in ("s16", "s24", "s32", "f32", "f64") for end in ("le", "be")
)

_AUDIO = {
    Container.MATROSKA: frozenset(
        {"aac", "ac3", "adpcm_ima_wav", "adpcm_ms", "alac", "atrac3", "cook", "dts", "eac3"}
        | {"flac", "mlp", "mp1", "mp2", "mp3", "opus", "pcm_alaw", "pcm_f32le", "pcm_f64le"}
        | {"pcm_mulaw", "pcm_s16be", "pcm_s16le", "pcm_s24be", "pcm_s24le", "pcm_s32be"}
        | {"pcm_s32le", "pcm_u8", "qdm2", "ra_144", "ra_288", "sipr", "truehd", "tta"}
        | {"vorbis", "wavpack", "wmav1", "wmav2", "wmapro"}
    ),
    Container.WEBM: frozenset({"opus", "vorbis"}),
    Container.MP4: frozenset({"aac", "ac3", "alac", "dts", "eac3", "flac", "mp2", "mp3", "opus"})
    | _PCM_BOTH_ENDS,
}

_SUBTITLES = {
    Container.MATROSKA: frozenset(
        {"arib_caption", "ass", "dvb_subtitle", "dvb_teletext", "dvd_subtitle"}
        | {"hdmv_pgs_subtitle", "hdmv_text_subtitle", "subrip", "webvtt"}
    ),
    Container.WEBM: frozenset({"webvtt"}),
    Container.MP4: frozenset({"mov_text"}),
}

_TEXT_TARGET = {
    Container.MATROSKA: "subrip",
    Container.WEBM: "webvtt",
    Container.MP4: "mov_text",
}

TEXT_SUBTITLES = frozenset(
    {"ass", "eia_608", "jacosub", "microdvd", "mov_text", "mpl2", "pjs", "realtext", "sami"}
    | {"stl", "subrip", "subviewer", "subviewer1", "text", "vplayer", "webvtt"}
)
"""Subtitles that ffmpeg decodes to text, so that they can be written in another form."""

_VIDEO = {
    Container.MATROSKA: frozenset({"av1", "hevc", "h264"}),
    Container.WEBM: frozenset({"av1"}),
    Container.MP4: frozenset({"av1", "hevc", "h264"}),
}

_COVERS = {
    Container.MATROSKA: frozenset({"mjpeg", "png", "gif", "bmp", "tiff", "webp"}),
    Container.WEBM: frozenset[str](),
    Container.MP4: frozenset({"mjpeg", "png", "bmp"}),
}

_ALIASES = {
    "dca": "dts",
    "dvbsub": "dvb_subtitle",
    "dvdsub": "dvd_subtitle",
    "pgssub": "hdmv_pgs_subtitle",
    "srt": "subrip",
    "ssa": "ass",
}

SubtitleFate = tuple[Literal["copy", "convert", "drop"], str]


def container_for(output: Path) -> Container:
    """The container that the output's extension asks for. Errors: UsageError."""
    extension = output.suffix.lower()
    if extension in EXTENSIONS:
        return EXTENSIONS[extension]
    known = ", ".join(EXTENSIONS)
    if not extension:
        message = f"The output {output} has no extension, so its container is not known."
        hint = f"Name it with one of {known}; .mkv holds every kind of track."
        raise UsageError(message, hint=hint)
    near = get_close_matches(extension, EXTENSIONS, n=1, cutoff=0.5)
    better = near[0] if near else ".mkv"
    raise UsageError(
        f"Drapto does not write {extension} files ({output}); it writes {known}.",
        hint=f"Did you mean {output.with_suffix(better).name}?",
    )


def canonical(codec: str) -> str:
    """The codec's own name where ffmpeg reports that of one of its decoders."""
    return _ALIASES.get(codec, codec)


def holds_video(container: Container, codec: str) -> bool:
    return codec in _VIDEO[container]


def holds_audio(container: Container, codec: str) -> bool:
    return canonical(codec) in _AUDIO[container]


def holds_cover(container: Container, codec: str) -> bool:
    return codec in _COVERS[container]


def holds_attachments(container: Container) -> bool:
    return container is Container.MATROSKA


def subtitle_fate(container: Container, codec: str) -> SubtitleFate:
    """How subtitles of `codec` go into `container`: (action, codec there or reason)."""
    name = canonical(codec)
    if name in _SUBTITLES[container]:
        return "copy", name
    if name in TEXT_SUBTITLES:
        return "convert", _TEXT_TARGET[container]
    kind = "picture subtitles" if name in _SUBTITLES[Container.MATROSKA] else "subtitles"
    return "drop", f"{container} cannot hold {name} {kind}"
