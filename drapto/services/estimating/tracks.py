"""How many bytes everything but the picture will take: by what the mux plan does with it."""

from __future__ import annotations

from drapto.core.estimate import AudioTrial, PacketSizes
from drapto.core.media import MediaInfo
from drapto.core.tracks import Container, MuxPlan

# Matroska: length, track, time and flags of a SimpleBlock, and its share of cluster and cues.
# MP4: an entry in each of stsz, stts, ctts and stco.
_PACKET_BYTES = 10
_HEADER_BYTES = 4096  # tags, track entries, seek heads
_ATTACHED = {Container.MATROSKA}  # where attachments are kept


async def other_bytes(
    trial: AudioTrial,
    media: MediaInfo,
    mux: MuxPlan,
    sizes: PacketSizes,
    frames: int,
    duration_s: float,
) -> int:
    """All tracks but the video, attachments, and the container around all of them."""
    total = float(_HEADER_BYTES + frames * _PACKET_BYTES)
    for plan in mux.tracks:
        if plan.audio is None:
            total += sizes.by_stream.get(plan.source.index, 0)
        else:
            length_s = plan.source.duration_s or duration_s
            total += length_s * await trial.bytes_per_s(media, plan, length_s)
    if mux.container in _ATTACHED:
        total += sum(item.size_bytes for item in media.attachments)
    return round(total)
