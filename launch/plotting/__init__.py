"""Pictures of curves, runs and shapes, drawn without a display: all that launch.reconstruct and launch.figures show."""
