"""Decide which requests a poll sends, and whether to keep waiting, without I/O."""
