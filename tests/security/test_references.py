"""A file may name other files and addresses: none of them is opened, whatever the file is called.

Where an unguarded ffmpeg would, the test shows that first, so that the canary is known to be alive.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drapto.core.opening import input_arguments
from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from drapto.infrastructure.ffmpeg.opening import open_container
from drapto.services.legacy.contract import PACKAGED_SCRIPTS
from tests.end_to_end.program import QUICK, drapto_here
from tests.legacy import needs_tools
from tests.media import referring
from tests.media.clips import ffmpeg, pattern, simple
from tests.media.referring import Referring
from tests.security.canary import Canary, canary

LIMIT_S = 30.0  # for what takes a tenth of a second on an idle machine


@pytest.fixture
def bird(tmp_path: Path) -> Iterator[Canary]:
    with canary(tmp_path) as made:
        yield made


def ffmpeg_command(*arguments: str | Path) -> list[str | Path]:
    return [find_ffmpeg(), "-nostdin", "-v", "error", *arguments, "-t", "1", "-f", "null", "-"]


def run_ffmpeg(*arguments: str | Path) -> bool:
    """Whether ffmpeg could read it. Guarded, it has nothing to wait for."""
    done = subprocess.run(ffmpeg_command(*arguments), capture_output=True, timeout=LIMIT_S)
    return done.returncode == 0


def kills(bird: Canary, *arguments: str | Path) -> bool:
    """Whether ffmpeg touches the canary. It is ended then, and what it touched is forgotten."""
    process = subprocess.Popen(ffmpeg_command(*arguments), stderr=subprocess.DEVNULL)
    give_up_s = time.monotonic() + LIMIT_S
    try:
        while bird.is_untouched():
            if process.poll() is not None or time.monotonic() > give_up_s:
                return not bird.is_untouched()
            time.sleep(0.01)
        return True
    finally:
        process.kill()
        process.wait()
        while not bird.is_untouched():
            pass


def in_process(path: Path) -> bool:
    """As libav in this process reads what passed for a video before."""
    import av

    try:
        with open_container(path) as container:
            return any(packet.size for packet in container.demux())
    except av.error.FFmpegError:
        return False


def by_script(path: Path) -> bool:
    script = '. "$0"; container_value "$1" duration; count_frames "$1" v:0; first_video "$1"'
    argv = ["bash", "-c", script, PACKAGED_SCRIPTS / "lib.sh", path]
    return bool(subprocess.run(argv, capture_output=True, timeout=20).stdout.strip(b"\n0"))


@pytest.fixture(params=referring.FILES, ids=lambda made: made.name)
def kind(request: pytest.FixtureRequest) -> Referring:
    made: Referring = request.param
    return made


def test_no_reference_is_followed(kind: Referring, bird: Canary, tmp_path: Path) -> None:
    source = tmp_path / kind.name
    source.write_bytes(kind.make(bird.secret.name, bird.port))
    if kind.unguarded:
        assert kills(bird, *kind.unguarded, "-i", f"file:{source}"), "the canary is dead"

    assert not in_process(source)
    assert not run_ffmpeg(*input_arguments(source))
    if shutil.which("ffprobe"):
        assert not by_script(source)
    before = sorted(tmp_path.iterdir())
    done = drapto_here("encode", source, tmp_path / "out.mkv", *QUICK)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.iterdir()) == before
    assert bird.is_untouched()


def test_data_of_a_mov_is_not_taken_from_another_file(bird: Canary, tmp_path: Path) -> None:
    source = referring.refers_to_data(tmp_path, bird.secret.name)
    assert kills(bird, "-enable_drefs", "1", "-i", f"file:{source}"), "the canary is dead"
    assert not in_process(source)
    assert not run_ffmpeg(*input_arguments(source))
    done = drapto_here("encode", source, tmp_path / "out.mkv", *QUICK)
    assert done.returncode == 3, done.stderr
    assert bird.is_untouched()


def test_linked_parts_of_a_matroska_are_not_looked_for(bird: Canary, tmp_path: Path) -> None:
    source = referring.linked(tmp_path, bird.secret.name)
    done = drapto_here("encode", source, tmp_path / "out.mkv", *QUICK)
    assert done.returncode == 0, done.stderr
    assert bird.is_untouched()


def test_a_number_in_a_name_is_no_sequence(bird: Canary, tmp_path: Path) -> None:
    picture = tmp_path / "001.png"
    ffmpeg(*pattern(1), picture)
    missing = drapto_here("encode", tmp_path / "%03d.png", tmp_path / "out.mkv", *QUICK)
    assert missing.returncode == 3
    assert "does not exist" in missing.stderr
    still = drapto_here("encode", picture, tmp_path / "out.mkv", *QUICK)
    assert still.returncode == 3
    assert "still picture" in still.stderr
    source = simple(tmp_path, "%03d.mkv", frames=12)
    assert in_process(source)
    assert run_ffmpeg(*input_arguments(source))


def test_tags_in_a_file_of_text_are_not_taken_for_a_film(tmp_path: Path) -> None:
    for disguise in (b"", b"\x00\x01"):
        source = tmp_path / "tags.mkv"
        source.write_bytes(b";FFMETADATA1\ntitle=x\n#" + disguise + b"\n[STREAM]\ntitle=y\n")
        assert not in_process(source)
        assert not run_ffmpeg(*input_arguments(source), "-c", "copy")
        assert drapto_here("encode", source, tmp_path / "out.mkv").returncode == 3


@pytest.mark.parametrize("scheme", ["http", "tcp", "rtsp", "ftp"])
def test_an_address_is_refused_in_plain_words(scheme: str, bird: Canary, tmp_path: Path) -> None:
    done = drapto_here("encode", f"{scheme}://127.0.0.1:{bird.port}/film.mkv", tmp_path / "out.mkv")
    assert done.returncode == 3
    assert "address" in done.stderr
    assert bird.is_untouched()


@pytest.mark.parametrize(
    "word", ["concat:secret.ts|secret.ts", "pipe:0", "subfile,,start,0,end,0,,:secret.ts"]
)
def test_a_protocol_in_a_name_is_part_of_the_name(word: str, bird: Canary, tmp_path: Path) -> None:
    done = drapto_here("encode", word, "out.mkv", cwd=tmp_path)
    assert done.returncode == 3
    assert "does not exist" in " ".join(done.stderr.split())
    assert bird.is_untouched()


@needs_tools
@pytest.mark.parametrize("script", ["detect", "segment", "audio", "encode_segment"])
def test_no_script_lets_any_program_follow_a_playlist(
    script: str, bird: Canary, tmp_path: Path
) -> None:
    """mediainfo would; ffprobe is asked before it and refuses the file."""
    source = tmp_path / "playlist.mkv"
    source.write_bytes(referring.FILES[0].make(bird.secret.name, bird.port))
    subprocess.run(["mediainfo", source], capture_output=True, check=True)
    assert bird.was_opened(), "the canary is dead"
    told = {
        "DRAPTO_INPUT": str(source),
        "DRAPTO_OUTPUT": str(tmp_path / "out.mkv"),
        "DRAPTO_OUTPUT_DIR": str(tmp_path),
        "DRAPTO_STREAM": "0",
        "DRAPTO_FFMPEG": str(find_ffmpeg()),
    }
    argv = ["bash", PACKAGED_SCRIPTS / f"{script}.sh"]
    done = subprocess.run(argv, capture_output=True, text=True, env={**os.environ, **told})
    assert done.returncode in (1, 3) or json.loads(done.stdout) == {"tracks": []}, done.stderr
    assert bird.is_untouched()
