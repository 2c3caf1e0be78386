"""Losses, fitting, and the students that judge samples."""
