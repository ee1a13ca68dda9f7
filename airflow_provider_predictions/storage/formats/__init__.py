"""The formats of parts: JSON Lines, Parquet of records, Parquet of values."""
