"""A team with scripts of its own that moves to Drapto: its files, its flags, its machine.

The scripts are real and need nothing but ffmpeg, so that a test of routing runs everywhere. What
breaks the new side is real too: an ffmpeg that refuses how the new encoder calls it, or a Python
that has another idea of a module.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from drapto.core.comparison import Comparison, Served
from drapto.core.routing import RoutedStage
from drapto.infrastructure.comparison_store import SqliteComparisonStore
from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from tests.end_to_end.program import QUICK, ROOT, command, drapto, drapto_here, environment
from tests.media import clips

DETECT = """\
#!/bin/sh
echo '{"dynamic_range": "sdr", "crop": null}'
"""

# Waits where somebody has closed the gate, as a script on a slow disk would.
SEGMENT = """\
#!/bin/sh
if [ -p "{gate}" ]; then cat "{gate}" >&2; fi
printf '{{"segments": [{{"start": 0, "end": %s}}]}}' "$DRAPTO_FRAMES"
"""

ENCODE = """\
#!/bin/sh
end=${DRAPTO_END_PTS:+:end_pts=$DRAPTO_END_PTS}
graph="trim=start_pts=$DRAPTO_FIRST_PTS$end${DRAPTO_CROP:+,crop=$DRAPTO_CROP},setpts=PTS-STARTPTS"
"$DRAPTO_FFMPEG" -v error -copyts -i "$DRAPTO_INPUT" -map "0:$DRAPTO_STREAM" -vf "$graph" \\
  -fps_mode passthrough -enc_time_base demux -pix_fmt yuv420p10le \\
  -c:v libsvtav1 -preset 13 -crf "$DRAPTO_CRF" -f matroska "$DRAPTO_OUTPUT" >&2 &&
echo "{\\"frames\\": $DRAPTO_FRAMES}"
"""

# Only the new encoder passes SVT-AV1's own options.
BROKEN_FFMPEG = """\
#!/bin/sh
case "$*" in
  *-svtav1-params*) echo "Svt[error]: this build knows no such option" >&2; exit 234 ;;
esac
exec "{ffmpeg}" "$@"
"""

# Python reads a module of this name before all others.
BROKEN_STAGES = """\
import asyncio

import {module} as module



real = module.{name}


async def refuse(*arguments, **more):
    if {late}:
        await real(*arguments, **more)
        await asyncio.sleep(1)
    raise RuntimeError("the new {stage} is broken on this machine")


module.{name} = refuse
"""
_STAGES = {
    RoutedStage.DETECTION: ("drapto.services.detection.service", "StreamingDetection.analyze"),
    RoutedStage.SEGMENTATION: ("drapto.services.segmentation.service", "SceneSegmentation.plan"),
}

Event = dict[str, Any]


@dataclass
class Team:
    """Everything lies in `home`; `env` are the variables of its machine."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        scripts = self.home / "our scripts"
        scripts.mkdir()
        segment = SEGMENT.format(gate=self.gate)
        for name, text in {"detect": DETECT, "segment": segment, "encode_segment": ENCODE}.items():
            (scripts / name).write_text(text)
            (scripts / name).chmod(0o755)
        self.env = {
            "DRAPTO_LEGACY_SCRIPTS_DIR": str(scripts),
            "DRAPTO_STATE_DIR": str(self.home / "state"),
            "DRAPTO_FLAGS_FILE": str(self.flags_file),
            **self.env,
        }
        self.flags("")

    @property
    def flags_file(self) -> Path:
        return self.home / "flags.toml"

    @property
    def gate(self) -> Path:
        return self.home / "gate"

    def flags(self, text: str) -> None:
        """Put another flags file in place, as an editor does."""
        fresh = self.flags_file.with_suffix(".new")
        fresh.write_text(f"schema = 1\n{text}")
        fresh.replace(self.flags_file)

    def film(self, name: str = "film.mkv", *, frames: int = 24) -> Path:
        path = self.home / "films" / name
        path.parent.mkdir(exist_ok=True)
        return path if path.exists() else clips.silent(path.parent, name, frames=frames)

    def films(self, count: int) -> list[Path]:
        first = self.film("film 0.mkv")
        for number in range(1, count):
            (first.parent / f"film {number}.mkv").write_bytes(first.read_bytes())
        return [first.parent / f"film {number}.mkv" for number in range(count)]

    def breaks(self, stage: RoutedStage, *, late: bool = False) -> dict[str, str]:
        """The variables of a process whose new `stage` does not work. `late`: fails, but for
        encoding, when its work is done."""
        if stage is RoutedStage.ENCODING:
            wrapper = self.home / "ffmpeg that refuses"
            wrapper.write_text(BROKEN_FFMPEG.format(ffmpeg=find_ffmpeg()))
            wrapper.chmod(0o755)
            return {"DRAPTO_FFMPEG": str(wrapper)}
        module, name = _STAGES[stage]
        folder = self.home / f"broken {stage}"
        folder.mkdir(exist_ok=True)
        text = BROKEN_STAGES.format(module=module, name=name, stage=stage, late=late)
        (folder / "sitecustomize.py").write_text(text)
        return {"PYTHONPATH": f"{folder}:{ROOT}"}

    def run(self, *arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        """To its end; in a process of its own where Python itself is to start in another way."""
        run = drapto if "PYTHONPATH" in env else drapto_here
        return run(*arguments, cwd=self.home, **{**self.env, **env})

    def encode(self, *sources: Path, options: Iterable[str] = (), **env: str) -> Encoded:
        """`drapto encode --json` of these into a directory of their own."""
        done = self.run("encode", *self._arguments(sources, options), **env)
        return Encoded(done.returncode, done.stderr, events_in(done.stdout))

    def begin(
        self, *sources: Path, options: Iterable[str] = (), **env: str
    ) -> subprocess.Popen[str]:
        """As `encode`, but does not wait for the end."""
        return subprocess.Popen(
            command("encode", *self._arguments(sources, options)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home,
            env=environment(**{**self.env, **env}),
        )

    def _arguments(self, sources: Iterable[Path], options: Iterable[str]) -> list[str | Path]:
        number = len(list(self.home.glob("out *")))
        out = self.home / f"out {number}"
        out.mkdir()
        return [*sources, out, *QUICK, "--json", *options]

    def close_gate(self) -> None:
        os.mkfifo(self.gate)

    def open_gate(self) -> None:
        """Let the script that waits go on, and all that follow."""
        with self.gate.open("w"):  # returns once the script reads
            self.gate.unlink()

    def served(self, stage: RoutedStage) -> list[Served]:
        return list(anyio.run(SqliteComparisonStore(self.home / "state").served, stage))

    def compared(self, stage: RoutedStage) -> list[Comparison]:
        return list(anyio.run(SqliteComparisonStore(self.home / "state").comparisons, stage))


@dataclass(frozen=True)
class Encoded:
    """How a `drapto encode --json` ended, and what it said."""

    code: int
    stderr: str
    events: tuple[Event, ...]

    def sides(self, stage: RoutedStage) -> list[str]:
        """Who was to serve it, job by job."""
        return [route["primary"] for route in self.routes(stage)]

    def routes(self, stage: RoutedStage) -> list[Event]:
        plans = [event for event in self.events if event["event"] == "plan_ready"]
        return [route for plan in plans for route in plan["routes"] if route["stage"] == stage]

    @property
    def warnings(self) -> list[str]:
        return [event["message"] for event in self.events if event["event"] == "warning"]


def events_in(text: str) -> tuple[Event, ...]:
    return tuple(json.loads(line) for line in text.splitlines())
