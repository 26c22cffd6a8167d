"""Dolby Vision's metadata of one frame: read, written, changed. Pure."""
