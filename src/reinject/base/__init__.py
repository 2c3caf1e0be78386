"""Errors, files, progress, devices, processes: the base of every other package."""
