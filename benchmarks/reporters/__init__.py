"""Ways to compute the numbers of a report: each has ``report(directory)``, which answers the totals."""
