"""Sample: Algorithm 1, its settings, and the commands that make archives."""
