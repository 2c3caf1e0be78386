"""Errors, files, progress, devices, processes: what every other package stands on."""
