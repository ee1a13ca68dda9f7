"""List predictions to XCom, land them in object storage, load them into Iceberg, and report on them."""
