"""Ways to read what a report reads: each has ``report(directory)``, which returns its numbers."""
