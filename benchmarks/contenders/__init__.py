"""What is measured: each module reads the whole list its own way.

``read(job, url, folder)`` does it, and is timed; ``ids(result, folder)`` tells afterwards what was read.
"""
