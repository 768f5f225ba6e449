"""Pictures of curves, runs and shapes, drawn without a display."""
