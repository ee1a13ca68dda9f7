"""Landed records become a page that people look at."""
