"""What is measured: each module reads the whole list its own way.

``read(job, url, count, folder)`` does it, and is timed. ``WRITES`` is the pattern of the files that hold the
records afterwards; empty where ``read`` returns them as texts.
"""
