"""When a job is still the same job: what decides the bytes of the output, and nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import blake2b

from drapto.core.entries import JobCreated, SourceFingerprint
from drapto.core.job import EncodeOptions

ENCODE_REVISION = 2
"""Goes up whenever the same options and source give other segments or another plan than before,
so that nothing of an older version is mixed into a newer one's output."""


def settings_hash(
    options: EncodeOptions, *, ffmpeg_version: str, revision: int = ENCODE_REVISION
) -> str:
    """blake2b-128, hex, over everything that decides the bytes. RunOptions never count."""
    deciding = {
        "options": options.model_dump(mode="json"),
        "ffmpeg": ffmpeg_version,
        "revision": revision,
    }
    text = json.dumps(deciding, sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=16).hexdigest()


def changes(
    earlier: JobCreated, options: EncodeOptions, source: SourceFingerprint, ffmpeg_version: str
) -> tuple[str, ...]:
    """Why what `earlier` left cannot be used any more, in plain sentences. Empty: it can."""
    reasons = list(source_changes(earlier.source, source))
    before = earlier.request.options.model_dump(mode="json")
    now = options.model_dump(mode="json")
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            label = "CRF" if name == "crf" else name.removesuffix("_s").replace("_", " ")
            reasons.append(f"{label} was {_say(before.get(name))}, now {_say(now.get(name))}.")
    if earlier.ffmpeg_version != ffmpeg_version:
        reasons.append(f"ffmpeg was {earlier.ffmpeg_version}, now {ffmpeg_version}.")
    if earlier.encode_revision != ENCODE_REVISION:
        reasons.append(
            f"Drapto {earlier.drapto_version}, which began the job, encodes in another way."
        )
    if not reasons and earlier.settings_hash != settings_hash(
        options, ffmpeg_version=ffmpeg_version
    ):
        reasons.append("The settings differ.")
    return tuple(reasons)


def source_changes(before: SourceFingerprint, now: SourceFingerprint) -> tuple[str, ...]:
    """What tells that a file is not the one it was, in at most one plain sentence."""
    if before.size_bytes != now.size_bytes:
        return (f"The source had {before.size_bytes} bytes, now {now.size_bytes}.",)
    if before.sample_digest != now.sample_digest:
        return ("The source has other content than before.",)
    if before.mtime_ns != now.mtime_ns:
        then, later = (_time(value.mtime_ns) for value in (before, now))
        return (f"The source was modified: its time was {then}, now {later}.",)
    return ()


def _time(mtime_ns: int) -> str:
    return datetime.fromtimestamp(mtime_ns / 1e9, UTC).isoformat(sep=" ", timespec="milliseconds")


def _say(value: object) -> str:
    if value is None:
        return "automatic"
    if isinstance(value, dict):
        return ":".join(str(part) for part in value.values())
    return f"{value:g}" if isinstance(value, float) else str(value)
