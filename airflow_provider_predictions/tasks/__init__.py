"""What every operator and sensor of a service has: its connection and its filters."""
