"""Which tags of the source still hold for the output. Pure.

Dropped: what a muxer measured about the old file (mkvmerge's statistics, DURATION), what
names the old file's container (MP4 brands), what a demuxer made up (handler names that
every tool writes), and, on a track that is encoded again, who encoded the old one and that
it had transparency.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from drapto.core.media import MediaInfo, Track

# mkvmerge's statistics tags; '-eng' and the like is how ffmpeg shows their language.
_STATISTICS = re.compile(
    r"(BPS|DURATION|NUMBER_OF_FRAMES|NUMBER_OF_BYTES|SOURCE_ID|_STATISTICS_\w+)(-\w+)?",
    re.IGNORECASE,
)
_CONTAINER_FACTS = frozenset({"major_brand", "minor_version", "compatible_brands", "vendor_id"})
_ENCODER_FACTS = frozenset(
    {"encoder", "encoder_options", "encoder_settings", "encoded_library_name"}
    | {"encoded_library_version", "encoded_library_settings", "writing_library", "alpha_mode"}
)
_CARRIED_BY_TRACK = frozenset({"language", "title", "name", "handler_name", "timecode"})
# Names that tools write into every file; some with a stray length byte in front.
_EMPTY_HANDLER = re.compile(
    r".*Handler\s*|Core Media .*|.*GPAC.*|ISO Media file produced by Google.*|",
    re.IGNORECASE | re.DOTALL,
)


def global_tags(media: MediaInfo) -> dict[str, str]:
    """Tags of the whole file; the writing program's name is the muxer's own business."""
    return {
        key: value
        for key, value in media.tags.items()
        if not _STATISTICS.fullmatch(key)
        and key.lower() not in _CONTAINER_FACTS
        and key.lower() != "encoder"
    }


def track_tags(track: Track, *, encoded: bool) -> dict[str, str]:
    """Tags of one track; `language` and `title` come first, from the track's own fields."""
    tags: dict[str, str] = {}
    if track.language:
        tags["language"] = track.language
    title = track.title or _find(track.tags, "title") or _find(track.tags, "name")
    if title:
        tags["title"] = title
    handler = _find(track.tags, "handler_name")
    if handler and handler != title and not _EMPTY_HANDLER.fullmatch(handler):
        tags["handler_name"] = handler
    for key, value in track.tags.items():
        if not _is_stale(key.lower(), encoded=encoded):
            tags[key] = value
    return tags


def timecode_of(track: Track) -> str | None:
    return _find(track.tags, "timecode")


def _is_stale(key: str, *, encoded: bool) -> bool:
    return (
        bool(_STATISTICS.fullmatch(key))
        or key in _CONTAINER_FACTS
        or key in _CARRIED_BY_TRACK
        or (encoded and key in _ENCODER_FACTS)
    )


def _find(tags: Mapping[str, str], wanted: str) -> str | None:
    for key, value in tags.items():
        if key.lower() == wanted:
            return value
    return None
