"""What launch.selftest checks of a machine, and what it tells of it."""
