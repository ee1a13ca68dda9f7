"""Landings become snapshots of an Iceberg table: each landing once, whoever tries and however often."""
