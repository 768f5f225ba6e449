"""The printed report and the output folder of `launch.solve`."""
