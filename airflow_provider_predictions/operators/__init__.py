"""Pages go somewhere: into XCom or into object storage."""
