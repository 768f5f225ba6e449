"""What launch.evaluate measures: each module makes items and a summary; flags and files stay outside."""
