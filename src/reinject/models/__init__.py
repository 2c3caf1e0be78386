"""Folders of models: load, import, inspect."""
