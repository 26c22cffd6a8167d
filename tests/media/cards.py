"""An ffmpeg for machines without a graphics card that behaves as if there were one, or a bad one.

A program for DRAPTO_FFMPEG. What an encoder of a card is told is translated to SVT-AV1 and really
encoded; chosen encoders fail when they are opened, have no session left, fail after some frames, or
stand still. All else goes to the real ffmpeg as it is.

    card = Card(folder)
    card.is_there("av1_nvenc")                        # it encodes
    card.fails("av1_nvenc", "frame", after=1)         # its second segment breaks off
    drapto_here("encode", …, DRAPTO_FFMPEG=str(card.ffmpeg))
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Literal

from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg

Fault = Literal["", "open", "busy", "frame", "hang"]
ABSENT = "Cannot load libcard.so.1"
BUSY = "OpenEncodeSessionEx failed: incompatible client key (21): (no details)"
BROKEN = "EncodePicture failed!: generic error (20)"

_PROGRAM = """#!{python}
import json, os, re, sys, time
from pathlib import Path

FFMPEG, FOLDER = {ffmpeg!r}, Path({folder!r})
CARDS = ("av1_nvenc", "hevc_nvenc", "av1_qsv", "av1_vaapi", "av1_amf")
argv = sys.argv[1:]
behaviours = json.loads((FOLDER / "card.json").read_text())
asked = next((word for word in argv if word in CARDS or word in behaviours), None)
if asked is None:
    os.execv(FFMPEG, [FFMPEG, *argv])

def value(option, default=None):
    return argv[argv.index(option) + 1] if option in argv else default

def say(text):
    print(f"[{{asked}} @ 0x5581] {{text}}", file=sys.stderr, flush=True)

is_trial = "drapto-trial-" in argv[-1]
behaviour = behaviours.get(asked)
if behaviour is None:
    say({absent!r})
    sys.exit(255)
with (FOLDER / "runs").open("a") as runs:
    runs.write(f"{{asked}} {{'trial' if is_trial else 'segment'}}\\n")
done = (FOLDER / "runs").read_text().splitlines().count(f"{{asked}} segment")
fault = behaviour["trial"] if is_trial else behaviour["segment"]
if not is_trial and done <= behaviour["after"]:
    fault = ""
if fault == "open":
    say("OpenEncodeSessionEx failed: unsupported device (2): (no details)")
    sys.exit(255)
if fault == "busy":
    say({busy!r})
    sys.exit(255)
if fault == "hang":
    time.sleep(3600)

quality = value("-cq") or float(value("-q:v") or value("-global_quality") or value("-qp_i")) / 4
crf = round((behaviour["slope"] * float(quality) + behaviour["offset"]) * 4) / 4
graph = value("-vf").replace("p010le", "yuv420p10le").removesuffix(",hwupload")
graph = re.sub(",setparams=[^,]*", "", graph)  # cards do not know what colours are
first, last = argv.index("-c:v"), argv.index("-fps_mode")
start = argv.index("-init_hw_device") if "-init_hw_device" in argv else None
told = argv[:first]
if start is not None:
    told = argv[:start] + argv[start + 4 : first]
told[told.index("-vf") + 1] = graph
parameters = f"crf={{crf:g}}:lp=1"
told += ["-c:v", "libsvtav1", "-preset", "12", "-g", value("-g"), "-svtav1-params", parameters]
if fault == "frame":
    told += ["-frames:v", "5"]
if "-bsf:v" in argv:
    told += ["-bsf:v", value("-bsf:v")]
command = [FFMPEG, *told, "-dolbyvision", "0", *argv[last:]]
if fault != "frame":
    os.execv(FFMPEG, command)
import subprocess
subprocess.run(command, check=True)
say({broken!r})
sys.exit(1)
"""


class Card:
    """`folder` holds the program and what it is to do, which can be changed between two runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ffmpeg = folder / "ffmpeg"
        self.ffmpeg.write_text(
            _PROGRAM.format(
                python=sys.executable,
                ffmpeg=str(find_ffmpeg()),
                folder=str(folder),
                absent=ABSENT,
                busy=BUSY,
                broken=BROKEN,
            )
        )
        self.ffmpeg.chmod(0o755)
        self.removed()

    def removed(self) -> None:
        """There is no card."""
        self._write({})

    def is_there(self, *encoders: str, slope: float = 1.0, offset: float = 0.0) -> None:
        """These encode, at the CRF of SVT-AV1 that is so much of what they are told, plus so
        much; others do not open."""
        self._write({name: _behaviour(slope=slope, offset=offset) for name in encoders})

    def fails(
        self, encoder: str, segment: Fault = "", *, trial: Fault = "", after: int = 0
    ) -> None:
        """This one has the fault in its trial, or in all its segments but the first `after`.
        Any other encoder can be made to fail when it is opened, too."""
        changed = self._read()
        changed[encoder] = _behaviour(segment=segment, trial=trial, after=after)
        self._write(changed)

    @property
    def runs(self) -> list[str]:
        """What was asked of any card: 'av1_nvenc trial', 'av1_nvenc segment'."""
        path = self._folder / "runs"
        return path.read_text().splitlines() if path.exists() else []

    def _read(self) -> dict[str, object]:
        return dict(json.loads((self._folder / "card.json").read_text()))

    def _write(self, behaviours: dict[str, object]) -> None:
        (self._folder / "card.json").write_text(json.dumps(behaviours))


def _behaviour(
    *,
    segment: Fault = "",
    trial: Fault = "",
    after: int = 0,
    slope: float = 1.0,
    offset: float = 0.0,
) -> dict[str, object]:
    return {
        "segment": segment, "trial": trial, "after": after, "slope": slope, "offset": offset,
    }  # fmt: skip
