"""What launch.solve says and writes."""
