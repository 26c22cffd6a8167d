"""How a file is opened: the one list of what libav may do with bytes that a stranger wrote.

Only that one file, never a network, and only by demuxers that read pictures and sound from it.
A playlist, a script or a numbered picture could name other files, and libav would open them; so
their demuxers are not on the list, and a file of such a kind is refused whatever its name is.

    command = [ffmpeg, "-nostdin", *input_arguments(source), "-map", "0:0", …]   # the program
    av.open(file_url(source), options=open_options())                            # in process

Every command line and every `av.open` takes these (tests/security/test_one_door.py), and
docs/security.md says what is promised because of it.
"""

from __future__ import annotations

from pathlib import Path

# Demuxers by libavformat's names. Those of single pictures (image2, *_pipe), playlists (hls,
# dash, concat, imf), text (tty, ffmetadata), devices (lavfi), networks (sdp, rtsp) and bare sample
# data are left out on purpose.
CONTAINERS = (
    "matroska,mov,avi,mpegts,mpeg,flv,live_flv,asf,ogg,nut,mxf,gxf,rm,wtv,ivf,dv,dhav,gif,apng,"
    "yuv4mpegpipe,swf,nsv,roq,bink,smk,flic,pva,dxa,film_cpk,4xm,lmlm4,nuv,vividas,viv,frm,"
    "smjpeg,amv,ty,pmp,cine,r3d,mods,moflex,lxf,webm"
)
VIDEO_STREAMS = (
    "h264,hevc,vvc,mpegvideo,m4v,obu,av1,mjpeg,h261,h263,vc1,vc1test,dirac,cavsvideo,avs,avs2,"
    "avs3,evc,dnxhd,apv"
)
AUDIO = (
    "mp3,wav,w64,flac,aac,ac3,eac3,ac4,dts,dtshd,truehd,mlp,aiff,caf,au,ape,wv,tta,amr,mpc,mpc8,"
    "tak,dsf,iff,voc,oma,spdif,shn,iamf,rso,sox,loas,qcp,xwma,osq,qoa"
)
EMBEDDED_TEXT = "srt,ass"  # an AVI carries whole files of these; alone they are refused as text
MEDIA_FORMATS = f"{CONTAINERS},{VIDEO_STREAMS},{AUDIO},{EMBEDDED_TEXT}"
METADATA_FORMATS = "ffmetadata"
"""For the text of tags and chapters that Drapto writes for ffmpeg itself."""

MAX_PIXELS = 16384 * 8704
"""Of one picture, in a header or decoded: AV1 has no level with a wider or a higher one
(AV1 specification, annex A.3: MaxHSize 16384, MaxVSize 8704). A frame of it takes 0.4 GB at ten
bits, and a few kilobytes can claim a picture many times as big."""

_PROTOCOLS = "file"


def file_url(path: Path) -> str:
    """The name as libav takes it literally, whatever characters it holds."""
    return f"file:{path.absolute()}"


def open_options() -> dict[str, str]:
    """For `av.open`, which hands them on to the decoders that look at the first frames."""
    return {
        "format_whitelist": MEDIA_FORMATS,
        "protocol_whitelist": _PROTOCOLS,
        **decoder_options(),
    }


def decoder_options() -> dict[str, str]:
    """For every decoder of pictures."""
    return {"max_pixels": str(MAX_PIXELS)}


def input_arguments(
    path: Path, *options: str, formats: str = MEDIA_FORMATS, only_copied: bool = False
) -> list[str]:
    """One input of an ffmpeg command line, with `options` of its own before it.

    `only_copied`: no picture of it is decoded, so a cover of any size can be taken over.
    """
    return [
        *options,
        *("-protocol_whitelist", _PROTOCOLS, "-format_whitelist", formats),
        *(() if only_copied else ("-max_pixels", str(MAX_PIXELS))),
        *("-i", file_url(path)),
    ]


def synthetic_input(graph: str) -> list[str]:
    """A picture or a tone that ffmpeg itself makes from a graph of ours: no file is read."""
    return ["-f", "lavfi", "-i", graph]
