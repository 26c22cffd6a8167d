"""Sets the results of the two sides of a stage side by side, field by field. Pure functions.

    terms = Terms(tolerances, ignore, today)
    fields = compare_detection(legacy, new, terms, width=1920, height=1080, frames=2880)
    outcome, reason = verdict(fields)

What each field means for a person is in `docs/shadow-fields.md`.
"""
