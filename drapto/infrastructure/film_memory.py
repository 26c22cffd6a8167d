"""Remembers finished films, one small file each, the last KEPT of them.

    memory = FileFilmMemory(state_dir)
    await memory.remember(film)
    films = await memory.recall(encoder="svt-av1", preset=6, model="vmaf_v0.6.1")

Promised: it never fails a job. A file that cannot be read is passed over, one that cannot be
written is not missed; any number of processes may remember at once.

Test: tests/infrastructure/test_film_memory.py.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from pathlib import Path

import anyio.to_thread
from pydantic import ValidationError

from drapto.core.film_memory import RememberedFilm
from drapto.infrastructure.files import write_atomically

# The shipped prior rests on 12 sources: so many films more than outweigh it, and older ones say
# less about what is encoded now.
KEPT = 64
_LARGEST_BYTES = 1_000_000  # 64 segments take about 10 kB


class FileFilmMemory:
    """`core/workshop.py: FilmMemory` in a directory. With `learns` false it knows nothing."""

    def __init__(self, state_dir: Path, *, learns: bool = True) -> None:
        self._folder = state_dir / "films"
        self._learns = learns

    async def recall(self, *, encoder: str, preset: int, model: str) -> tuple[RememberedFilm, ...]:
        if not self._learns:
            return ()
        films = await anyio.to_thread.run_sync(self._read)
        wanted = (encoder, preset, model)
        return tuple(film for film in films if (film.encoder, film.preset, film.model) == wanted)

    async def remember(self, film: RememberedFilm) -> None:
        if self._learns:
            with contextlib.suppress(OSError):
                await anyio.to_thread.run_sync(self._write, film)

    def _files(self) -> list[Path]:
        """The oldest first: names begin with the time."""
        try:
            return sorted(path for path in self._folder.iterdir() if path.suffix == ".json")
        except OSError:
            return []

    def _read(self) -> list[RememberedFilm]:
        films = []
        for path in self._files()[-KEPT:]:
            with contextlib.suppress(OSError, ValidationError):
                if not path.is_symlink() and path.stat().st_size <= _LARGEST_BYTES:
                    films.append(RememberedFilm.model_validate_json(path.read_bytes()))
        return films

    def _write(self, film: RememberedFilm) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = f"{time.time_ns():020d}-{secrets.token_hex(4)}.json"
        write_atomically(self._folder / name, film.model_dump_json().encode())
        for old in self._files()[:-KEPT]:
            old.unlink(missing_ok=True)
