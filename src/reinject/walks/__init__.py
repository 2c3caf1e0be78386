"""Reconstructions r, kernels, schedules, starts, and the loop that runs them."""
