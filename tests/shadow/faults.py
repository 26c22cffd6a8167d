"""What can be wrong with a candidate, one fault each.

BEFORE: its task is changed, so that the real code does something else. AFTER: the real code's
result is changed. INSTEAD: the real code is not run at all. All of it happens in the process of the
candidate.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from drapto.core.json_text import dumps, loads
from drapto.core.shadow_task import ShadowTask
from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg

BEFORE: dict[str, Callable[[Path], object]] = {}
AFTER: dict[str, Callable[[Path], object]] = {}
INSTEAD: dict[str, Callable[[ShadowTask, Path], object]] = {}

_RESULT = "result.json"
_FILE = "candidate.mkv"


# --- the task


def crf_plus_10(home: Path) -> None:
    task = loads((home / "task.json").read_bytes())
    task["settings"]["crf"] += 10
    (home / "task.json").write_text(dumps(task))


BEFORE["crf plus 10"] = crf_plus_10


# --- the result: values


def _result_with(change: Callable[[Any], object]) -> Callable[[Path], None]:
    def spoil(home: Path) -> None:
        result = loads((home / _RESULT).read_bytes())
        changed = change(result)
        (home / _RESULT).write_text(dumps(result if changed is None else changed))

    return spoil


def _cropped(px: int) -> Callable[[Any], None]:
    def change(result: Any) -> None:
        rect = result["analysis"]["crop"]["rect"]
        rect["y"] += px
        rect["height"] -= px

    return change


def _with_cuts(shift: int = 0, add: tuple[int, ...] = (), drop: int = 0) -> Callable[[Any], None]:
    def change(result: Any) -> None:
        scenes = result["analysis"]["scenes"]
        end = scenes[-1]["end"]
        cuts = sorted({*(s["start"] + shift for s in scenes[1 + drop :]), *add})
        borders = [0, *cuts, end]
        result["analysis"]["scenes"] = [
            {**scenes[0], "start": a, "end": b} for a, b in pairwise(borders)
        ]

    return change


def _in_analysis(**values: Any) -> Callable[[Any], None]:
    return lambda result: result["analysis"].update(values)


def _in_color(**values: Any) -> Callable[[Any], None]:
    return lambda result: result["analysis"]["color"].update(values)


def _one_frame_less(result: Any) -> None:
    result["analysis"]["decoded_frames"] -= 1


def _moved(number: int, **by: int) -> Callable[[Any], None]:
    def change(result: Any) -> None:
        for edge, frames in by.items():
            result["segments"][number][edge] += frames

    return change


def _boundaries_moved(result: Any) -> None:
    for first, second in pairwise(result["segments"]):
        first["end"] -= 10
        second["start"] -= 10


AFTER |= {
    "crop 4 px into the picture": _result_with(_cropped(4)),
    "crop 4 px short": _result_with(_cropped(-4)),
    "HDR not seen": _result_with(
        _in_color(transfer="bt709", mastering_display=None, content_light=None)
    ),
    "HDR metadata not seen": _result_with(_in_color(mastering_display=None)),
    "wrong primaries": _result_with(_in_color(primaries="bt470bg")),
    "primaries that are no text": _result_with(_in_color(primaries="\ud800\x1b[2J" + "x" * 5000)),
    "cuts 10 frames late": _result_with(_with_cuts(shift=10)),
    "an invented cut": _result_with(_with_cuts(add=(10,))),
    "a missed cut": _result_with(_with_cuts(drop=1)),
    "a frame too few": _result_with(_one_frame_less),
    "wrong field order": _result_with(_in_analysis(interlacing="tff")),
    "a gap": _result_with(_moved(0, end=-1)),
    "an overlap": _result_with(_moved(0, end=1)),
    "last segment missing": _result_with(lambda result: result["segments"].pop() and None),
    "segment beyond the end": _result_with(_moved(-1, end=24)),
    "no segments": _result_with(lambda result: result.update(segments=[])),
    "boundaries 10 frames early": _result_with(_boundaries_moved),
    "segment of huge numbers": _result_with(_moved(-1, end=10**30)),
    "wrong type": _result_with(lambda result: result["analysis"].update(scenes="all of them")),
    "unknown field": _result_with(lambda result: result.update(surprise=1)),
    "a list": _result_with(lambda result: [result]),
    "result of another stage": _result_with(lambda result: {"segments": [], "wall_s": 1.0}),
    "time that is no number": lambda home: (home / _RESULT).write_text(
        json.dumps({**json.loads((home / _RESULT).read_text()), "wall_s": float("nan")})
    ),
}


# --- the result: no JSON

AFTER |= {
    "no JSON": lambda home: (home / _RESULT).write_text("All went well!\n"),
    "empty result": lambda home: (home / _RESULT).write_text(""),
    "bytes that are no text": lambda home: (home / _RESULT).write_bytes(b"\xff\xfe\x00{}"),
    "nested without end": lambda home: (home / _RESULT).write_text("[" * 200_000 + "]" * 200_000),
    "result of 100 MB": lambda home: (home / _RESULT).write_bytes(b" " * 100_000_000),
    "no result": lambda home: (home / _RESULT).unlink(),
}


# --- the file


def _ffmpeg(home: Path, *arguments: str) -> None:
    """Make the file anew from itself."""
    out = home / "spoiled.mkv"
    argv = [str(find_ffmpeg()), "-nostdin", "-v", "error", "-y", "-i", str(home / _FILE)]
    subprocess.run([*argv, *arguments, str(out)], check=True)
    out.replace(home / _FILE)


def _remuxed(*options: str) -> Callable[[Path], None]:
    """`options` come after what copies everything."""
    kept = ("-disposition:s:0", "forced", "-disposition:s:1", "0")
    return lambda home: _ffmpeg(home, "-map", "0", "-c", "copy", *kept, *options)


def _redrawn(graph: str, *options: str) -> Callable[[Path], None]:
    """The picture encoded once more, all else copied."""
    video = ("-c:v", "libsvtav1", "-preset", "13", "-crf", "30", "-pix_fmt", "yuv420p10le")
    graph_and_time = ("-vf", graph, "-fps_mode", "passthrough", "-svtav1-params", "lp=2")
    return _remuxed(*video, *graph_and_time, *options)


def late_sound(home: Path) -> None:
    maps = ("-map", "0:v", "-map", "1:a:0", "-map", "0:a:1", "-map", "0:s", "-map_metadata", "0")
    tags = ("-metadata:s:a:0", "language=eng", "-disposition:s:0", "forced")
    late = ("-itsoffset", "0.3", "-i", str(home / _FILE))
    _ffmpeg(home, *late, *maps, "-c", "copy", *tags)


def truncated(home: Path) -> None:
    os.truncate(home / _FILE, (home / _FILE).stat().st_size * 6 // 10)


def same_as_published(home: Path) -> None:
    task = ShadowTask.model_validate(loads((home / "task.json").read_bytes()))
    (home / _FILE).unlink()
    (home / _FILE).symlink_to(task.output)


def outside(home: Path) -> None:
    task = ShadowTask.model_validate(loads((home / "task.json").read_bytes()))
    (home / _RESULT).write_text(dumps({"output": task.output, "wall_s": 1.0}))


def copy_of_source(home: Path) -> None:
    task = ShadowTask.model_validate(loads((home / "task.json").read_bytes()))
    (home / _FILE).write_bytes(task.source.read_bytes())


AFTER |= {
    "subtitle missing": _remuxed("-map", "-0:s:0", "-disposition:s:0", "0"),
    "wrong language": _remuxed("-metadata:s:a:0", "language=ger"),
    "wrong title": _remuxed("-metadata:s:a:0", "title=Mono"),
    "sound 0.3 s late": late_sound,
    "audio missing": _remuxed("-map", "-0:a:1"),
    "audio in another order": lambda home: _ffmpeg(
        home, "-map", "0:v", "-map", "0:a:1", "-map", "0:a:0", "-map", "0:s", "-c", "copy",
        "-disposition:s:0", "forced", "-disposition:s:1", "0",
    ),
    "forced mark lost": _remuxed("-disposition:s:0", "0"),
    "chapters lost": _remuxed("-map_chapters", "-1"),
    "frame dropped": _redrawn("select='not(eq(n,40))'"),
    "frame doubled": _redrawn("loop=loop=1:size=1:start=40,setpts=N/(24*TB)"),
    "last frame missing": _redrawn("trim=end_frame=89"),
    "picture 4 px smaller": _redrawn("crop=iw:ih-4:0:0"),
    "another picture": _redrawn("negate"),
    "HDR lost": _remuxed(
        "-bsf:v", "av1_metadata=color_primaries=1:transfer_characteristics=1:matrix_coefficients=1",
        "-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709",
    ),
    "copy of the source": copy_of_source,
    "file truncated": truncated,
    "file of garbage": lambda home: (home / _FILE).write_bytes(os.urandom(50_000)),
    "empty file": lambda home: (home / _FILE).write_bytes(b""),
    "only the sound": lambda home: _ffmpeg(home, "-map", "0:a", "-c", "copy"),
    "a list of other files": lambda home: (home / _FILE).write_text(
        f"ffconcat version 1.0\nfile '{home / 'task.json'}'\n"
    ),
    "no file": lambda home: (home / _FILE).unlink(),
    "a link to the published file": same_as_published,
    "a file outside its directory": outside,
}  # fmt: skip


# --- the process


def _say(home: Path, text: str) -> None:
    (home / "stderr.log").write_text(text)


def _children(count: int, home: Path) -> None:
    """Fork, and so does every child, all in one group, until so many have been made."""
    for _ in range(count):
        os.fork()
    time.sleep(600)


def deaf(task: ShadowTask, home: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    time.sleep(600)


def crash(task: ShadowTask, home: Path) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def complain(task: ShadowTask, home: Path) -> None:
    _say(home, "Traceback\n  a line of it\nValueError: it is \x1b[31mred\n")
    sys.exit(1)


def memory_hog(task: ShadowTask, home: Path) -> None:
    kept = []
    while True:
        kept.append(bytearray(b"x" * (64 << 20)))


def disk_hog(task: ShadowTask, home: Path) -> None:
    with (home / "big").open("wb") as file:
        while True:
            file.seek(1 << 30, os.SEEK_CUR)
            file.write(b"x")


def flood(task: ShadowTask, home: Path) -> None:
    while True:
        os.write(1, b"o" * 65536)
        os.write(2, b"e" * 65536)


def write_beside_the_source(task: ShadowTask, home: Path) -> None:
    (task.source.parent / "index.tmp").write_text("mine")


def delete_the_source(task: ShadowTask, home: Path) -> None:
    task.source.unlink()


def truncate_the_output(task: ShadowTask, home: Path) -> None:
    os.truncate(task.output, 0)


def overwrite_the_output(task: ShadowTask, home: Path) -> None:
    (home / _FILE).write_bytes(b"better")
    (home / _FILE).replace(task.output)


def kill_what_started_it(task: ShadowTask, home: Path) -> None:
    os.kill(os.getppid(), signal.SIGKILL)


def remove_its_own_place(task: ShadowTask, home: Path) -> None:
    home.rename(home.parent / "elsewhere")


INSTEAD |= {
    "hang": lambda task, home: time.sleep(600),
    "deaf": deaf,
    "crash": crash,
    "exit 1": complain,
    "memory hog": memory_hog,
    "disk hog": disk_hog,
    "fork bomb": lambda task, home: _children(8, home),
    "flood": flood,
    "writes beside the source": write_beside_the_source,
    "deletes the source": delete_the_source,
    "truncates the output": truncate_the_output,
    "overwrites the output": overwrite_the_output,
    "kills what started it": kill_what_started_it,
    "renames its place": remove_its_own_place,
}


# --- an honest result, and something besides


def leave_something_running(home: Path) -> None:
    for environment in (dict(os.environ), {}):
        subprocess.Popen(["sleep", "600"], env=environment, start_new_session=True)


def locked_directory(home: Path) -> None:
    (home / "deep" / "deeper").mkdir(parents=True)
    (home / "deep" / "deeper" / "file").write_text("x")
    (home / "deep" / "deeper").chmod(0)
    (home / "deep").chmod(0)


AFTER |= {
    "leaves something running": leave_something_running,
    "locks its directory": locked_directory,
    "floods, then is honest": lambda home: [os.write(2, b"e" * 65536) for _ in range(500)],
}
