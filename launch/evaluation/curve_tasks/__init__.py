"""Evaluations of curves alone, before any search for a shape: verdicts, units, and numbers such as size and mass."""
