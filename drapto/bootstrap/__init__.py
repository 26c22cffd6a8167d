"""Wires settings into objects. Only the modules of this package import every layer.

`services.py` is what `drapto.api` calls; `stages.py` makes the two sides of every stage;
`shadowing.py` makes what routes them and runs candidates; `comparing.py` compares both sides on
purpose; `reporting.py` reads what comparisons came to, without loading what can decode a film.
"""
