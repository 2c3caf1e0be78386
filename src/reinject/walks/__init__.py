"""Walks: r, kernels, schedules, starts, and the loop that joins them."""
