"""Serve the live page, on which visitors watch and steer walks, on 127.0.0.1 (extra ``explorer``)."""
