"""Wires settings into objects. Only the modules of this package import every layer.

`services.py` is what `drapto.api` calls; `stages.py` makes the two sides of every stage;
`shadowing.py` makes what routes them and runs candidates.
"""

from drapto.bootstrap.services import Services, open_services

__all__ = ["Services", "open_services"]
