"""What a container cannot say, however well it was written: the reasons for `named` rows.

Each set was found by writing every value with libavformat 62 and reading it back.
"""

from __future__ import annotations

from drapto.core.media import Track, TrackKind
from drapto.core.tracks import Container

_MATROSKA_DISPOSITIONS = frozenset(
    {"default", "dub", "original", "comment", "forced", "hearing_impaired"} | {"visual_impaired"}
)
_WEBM_DISPOSITIONS = frozenset({"default", "forced"})
_MP4_DISPOSITIONS = frozenset(
    {"default", "dub", "comment", "forced", "hearing_impaired", "visual_impaired"}
)

# MP4 has one role for each of these pairs (ISO/IEC 23009-1 'role' values in a kind box) and
# reads back as both.
_MP4_SAME_ROLE = {"captions": "hearing_impaired", "descriptions": "visual_impaired"}

_MP4_TAGS = frozenset(
    {"title", "artist", "album_artist", "composer", "album", "date", "comment", "genre"}
    | {"copyright", "grouping", "lyrics", "description", "synopsis", "show", "episode_id"}
    | {"network", "keywords", "episode_sort", "season_number", "media_type", "hd_video"}
    | {"gapless_playback", "compilation", "track", "disc", "tempo"}
)
"""The iTunes-style items that libavformat's MP4 writer knows."""

_VOLATILE_TAGS = frozenset(
    {
        "encoder",
        "encoder_options",
        "encoder_settings",
        "writing_library",
        "encoded_by",
        "encoding_tool",
        "creation_time",
        "duration",
    }
    | {"major_brand", "minor_version", "compatible_brands", "handler_name", "vendor_id"}
    | {"language", "title", "name", "filename", "mimetype", "rotate", "timecode", "bps"}
    | {"number_of_frames", "number_of_bytes", "variant_bitrate", "alpha_mode"}
    | {"stereo_mode", "_statistics_writing_app", "_statistics_writing_date_utc"}
    | {"_statistics_tags", "service_name", "service_provider", "source_id"}
)
"""Tags that a writer makes itself, that describe the old bytes, or that have their own row."""


def dispositions_in(container: Container, track: Track) -> tuple[frozenset[str], frozenset[str]]:
    """The dispositions of `track` that `container` can hold, and those it cannot."""
    wanted = same_roles(container, track.dispositions) - {"attached_pic"}
    if container is Container.MATROSKA:
        held = _MATROSKA_DISPOSITIONS
        if track.kind is TrackKind.SUBTITLE:
            held |= {"descriptions"}
    else:
        held = _WEBM_DISPOSITIONS if container is Container.WEBM else _MP4_DISPOSITIONS
    return wanted & held, wanted - held


def same_roles(container: Container, dispositions: frozenset[str]) -> frozenset[str]:
    """Dispositions with the two names that MP4 has for one role made one."""
    if container is not Container.MP4:
        return dispositions
    return frozenset(_MP4_SAME_ROLE.get(name, name) for name in dispositions)


def holds_language(container: Container, language: str) -> bool:
    """MP4 packs exactly three letters (ISO/IEC 14496-12, 8.4.2); Matroska takes any text."""
    three_letters = len(language) == 3 and language.isascii() and language.isalpha()
    return container is not Container.MP4 or three_letters


def holds_global_tag(container: Container, key: str) -> bool:
    return container is not Container.MP4 or key.lower() in _MP4_TAGS


def holds_track_tags(container: Container) -> bool:
    """MP4 keeps a track's title and nothing else of its tags."""
    return container is not Container.MP4


def lasting_tags(tags: dict[str, str], *, keep: frozenset[str] = frozenset()) -> dict[str, str]:
    """Tags that ought to survive, by their lower-case key. `keep` are not taken as volatile.

    Statistics tags of mkvmerge carry a language after a dash ('BPS-eng').
    """
    volatile = _VOLATILE_TAGS - keep
    return {
        key.lower(): value
        for key, value in tags.items()
        if key.lower() not in volatile and key.lower().rsplit("-", 1)[0] not in volatile
    }


def is_chapter_track(container: Container, track: Track) -> bool:
    """MP4 stores chapter titles as a text track, which the demuxer shows as data."""
    return container is Container.MP4 and track.kind is TrackKind.DATA


_REPACKED_FROM_TS = frozenset({"aac", "aac_latm", "opus", "dvb_subtitle", "dvb_teletext"})
_REPACKED = frozenset({"mov_text", "wavpack"})


def keeps_payload(source_format: str, codec: str) -> bool:
    """False where copying to another container rewrites the packets.

    MPEG-TS and raw AAC have ADTS or LATM headers around every frame, Opus in MPEG-TS a control
    header, DVB subtitles a data identifier; MP4 text gets filler samples; WavPack in Matroska
    loses its block headers.
    """
    from_stream = source_format in ("mpegts", "aac", "loas", "rtsp", "hls")
    return not (codec in _REPACKED or (from_stream and codec in _REPACKED_FROM_TS))
