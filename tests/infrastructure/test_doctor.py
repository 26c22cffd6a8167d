"""What doctor says about what is not there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from drapto.core.doctor import DoctorLine
from drapto.infrastructure import doctor
from drapto.infrastructure.doctor import collect
from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from drapto.infrastructure.gpu.doctor import device_lines
from drapto.services.encoding.svt_av1 import SvtAv1
from drapto.services.encoding.x26x import X264


class NobodysEncoder(X264):
    """Known to Drapto, but to no ffmpeg."""

    @property
    def ffmpeg_encoder(self) -> str:
        return "libnobody"


async def looked_at(*places: Path, ffmpeg: Path | None = None) -> dict[str, DoctorLine]:
    lines = await collect(
        ffmpeg=ffmpeg,
        encoders=(SvtAv1(), NobodysEncoder()),
        places=list(places),
        device="auto",
    )
    assert len({line.name for line in lines}) == len(lines)
    return {line.name: line for line in lines}


async def test_encoder_that_ffmpeg_lacks_is_a_warning_with_advice(tmp_path: Path) -> None:
    lines = await looked_at(tmp_path)
    assert lines["encoder svt-av1"].status == "ok"
    assert lines["encoder x264"].status == "warning"
    assert "libnobody" in lines["encoder x264"].detail
    assert lines["encoder x264"].advice


async def test_programs_of_the_legacy_scripts_are_never_needed_by_every_encode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DRAPTO_MEDIAINFO", sys.executable)
    lines = await looked_at(tmp_path, ffmpeg=find_ffmpeg())
    ffprobe = lines["legacy: ffprobe"]
    assert ffprobe.status == "warning"
    assert "only for legacy stages" in ffprobe.detail
    assert "apt-get install ffmpeg" in ffprobe.advice
    assert lines["legacy: mediainfo"].detail.startswith(sys.executable)
    for optional in ("GNU parallel", "ab-av1"):
        assert lines[f"legacy: {optional}"].status == "ok"
        assert "not found" in lines[f"legacy: {optional}"].detail


async def test_directory_that_is_not_made_yet_is_judged_by_its_disk(tmp_path: Path) -> None:
    lines = await looked_at(tmp_path / "not" / "yet")
    assert "GiB free" in lines[f"disk {tmp_path}/not/yet"].detail


async def test_missing_ffmpeg_does_not_hide_the_rest(tmp_path: Path) -> None:
    lines = await looked_at(tmp_path, ffmpeg=tmp_path / "no-ffmpeg")
    assert lines["ffmpeg"].status == "missing"
    assert lines["ffmpeg"].advice
    assert "cores" in lines["CPU"].detail
    assert lines["device"].status == "ok"


async def test_metrics_are_tried_and_one_that_measures_wrong_is_a_warning(tmp_path: Path) -> None:
    lines = await looked_at(tmp_path)
    for name in ("VMAF", "XPSNR", "SSIM"):
        assert lines[f"metric {name}"].status == "ok"
    other = tmp_path / "ffmpeg"  # as if its XPSNR compared with another picture
    other.write_text(
        f"#!{sys.executable}\nimport os, sys\n"
        "spoil = any('xpsnr=' in word for word in sys.argv)\n"
        "args = [a.replace('gblur=1', 'gblur=3') if spoil else a for a in sys.argv[1:]]\n"
        f"os.execv({str(find_ffmpeg())!r}, ['ffmpeg', *args])\n"
    )
    other.chmod(0o755)
    lines = await looked_at(tmp_path, ffmpeg=other)
    assert lines["metric SSIM"].status == "ok"
    assert lines["metric XPSNR"].status == "warning"
    assert "instead of" in lines["metric XPSNR"].detail
    assert "bundled ffmpeg" in lines["metric XPSNR"].advice


@pytest.mark.parametrize(
    ("version", "status", "words"),
    [
        (7, "ok", "neither files nor processes"),
        (4, "ok", "no files"),
        (2, "warning", "cut them short"),
        (0, "warning", "by their good manners alone"),
    ],
)
async def test_fences_of_shadow_runs_are_told(
    monkeypatch: pytest.MonkeyPatch, version: int, status: str, words: str
) -> None:
    monkeypatch.setattr(doctor, "landlock_version", lambda: version, raising=False)
    lines = await collect(ffmpeg=None, encoders=[], places=[], device="cpu")
    (line,) = [line for line in lines if line.name == "shadow runs"]
    assert (line.status, words in line.detail, bool(line.advice)) == (
        status,
        True,
        status == "warning",
    )


async def test_a_device_that_nobody_asked_for_and_is_not_there_is_no_fault() -> None:
    lines = {line.name: line for line in await device_lines("cpu")}
    assert lines["device"].detail == "cpu: the settings say so"
    assert (await device_lines("auto"))[0].status == "ok"


async def test_a_device_that_is_asked_for_and_is_not_there_is_missing() -> None:
    (line,) = await device_lines("cuda:99")
    assert line.status == "missing"
    assert line.detail.startswith("The device 'cuda:99' cannot be used: ")
    assert "device = 'auto'" in line.advice
