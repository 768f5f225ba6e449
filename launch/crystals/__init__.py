"""The part of `launch.solve` for measured crystals: what it prints and what it writes."""
