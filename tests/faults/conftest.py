"""The film that faults are tried on, made once."""

from __future__ import annotations

import pytest

from tests.faults.film import Film, make_film


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    return make_film(tmp_path_factory.mktemp("film"))
