"""Where the manifests of finished jobs are kept, and how one is found and read again.

    path = kept_path(state_dir, output)      # where the job left it
    found = find_manifest(given, state_dir)  # of an output, or a manifest.json itself

Tests: tests/infrastructure/test_manifests.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from hashlib import blake2b
from pathlib import Path

from drapto.core.errors import InputError
from drapto.core.manifest import MANIFEST_VERSION, Manifest

_READ_AT_MOST_BYTES = 256 * 1024 * 1024  # a segment takes about 1 KiB


def kept_path(state_dir: Path, output: Path) -> Path:
    """One per output path: a later encode of the same output replaces it."""
    name = blake2b(str(output).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
    return state_dir / "manifests" / f"{output.stem[:80]}-{name}.json"


def find_manifest(given: Path, state_dir: Path) -> Manifest:
    """That of a file that ends in .json, else the one that was kept for this output.

    Errors: InputError if there is none, it makes no sense, or speaks of another file.
    """
    if is_manifest(given):
        return read_manifest(given)
    return _of_output(given, state_dir)


def is_manifest(given: Path) -> bool:
    """Whether a path that was given is taken for a manifest, and not for an output: by its name."""
    return given.suffix.lower() == ".json"


def read_manifest(path: Path) -> Manifest:
    """Errors: InputError, also for what no job can have written."""
    try:
        with path.open("rb") as file:
            text = file.read(_READ_AT_MOST_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"The manifest {path} cannot be read: {error.strerror}.", hint=_HINT
        ) from error
    if len(text) > _READ_AT_MOST_BYTES:
        raise InputError(f"{path} is too long for a manifest.", hint=_HINT)
    try:
        manifest = Manifest.from_json(text.decode("utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is no manifest that Drapto can read.", hint=_HINT) from error
    if wrong := _nonsense(manifest):
        raise InputError(f"The manifest {path} makes no sense: {wrong}.", hint=_HINT)
    return manifest


_HINT = "Give an output of Drapto, or the manifest.json of its work directory."


def _of_output(output: Path, state_dir: Path) -> Manifest:
    try:
        size_bytes = output.stat().st_size
    except OSError as error:
        raise InputError(f"{output} cannot be read: {error.strerror}.", hint=_HINT) from error
    names = dict.fromkeys((output.absolute(), output.resolve()))
    kept = [path for name in names if (path := kept_path(state_dir, name)).is_file()]
    if not kept:
        raise InputError(
            f"No manifest is kept for {output}: Drapto did not write it, not under this name, or "
            f"with another state directory than {state_dir}.",
            hint="Give the manifest.json itself if you have it.",
        )
    manifest = read_manifest(kept[0])
    if size_bytes != manifest.output_bytes:
        raise InputError(
            f"{output} is not the file that its manifest {kept[0]} speaks of: it has "
            f"{size_bytes} bytes, and {manifest.output_bytes} were written.",
            hint=f"Give {kept[0]} itself for a report on what was written.",
        )
    return manifest


def _nonsense(manifest: Manifest) -> str:
    """What of it no job can have written; empty if nothing is."""
    if manifest.manifest_version > MANIFEST_VERSION:
        return (
            f"it is of version {manifest.manifest_version}, and this Drapto knows of none later "
            f"than {MANIFEST_VERSION}"
        )
    if not all(abs(number) <= _MOST for number in _numbers(manifest.model_dump())):
        return "a number in it is none, or beyond all measure"
    settings = manifest.settings
    if not all(1 / _MOST_RATE <= rate <= _MOST_RATE for rate in _rates(manifest)):
        return "its frame rate is none"
    if settings.width < 1 or settings.height < 1:
        return "its picture has no size"
    at = 0
    for segment in manifest.segments:
        if segment.start_frame != at or segment.end_frame <= at or segment.size_bytes < 0:
            return f"segment {segment.index} does not follow on the one before it"
        if segment.frames != segment.end_frame - segment.start_frame:
            return f"segment {segment.index} does not have the frames that it covers"
        at = segment.end_frame
    return ""


_MOST = 10**18  # bytes, frames or seconds: an exabyte, and longer than the universe is old
_MOST_RATE = 1_000_000  # frames a second


def _rates(manifest: Manifest) -> list[Fraction]:
    rates = [manifest.settings.frame_rate]
    return rates if manifest.frame_rate is None else [*rates, manifest.frame_rate]


def _numbers(value: object) -> Iterator[float]:
    """Every number of a dumped model; NaN is no number that is within a bound."""
    if isinstance(value, Mapping):
        value = value.values()
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int | float):
        yield value
