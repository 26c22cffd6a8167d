"""Drapto re-encodes video to AV1."""
