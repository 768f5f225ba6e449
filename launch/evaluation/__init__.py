"""What launch.evaluate measures; the flags stay outside."""
