"""Decide the next request from a response, without I/O."""
