"""Reports on landed predictions."""
