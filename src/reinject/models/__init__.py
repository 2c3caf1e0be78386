"""A folder of models: read, imported, inspected."""
