"""What launch.reconstruct says and writes."""
