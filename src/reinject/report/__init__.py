"""One self-contained HTML page, and the pictures beside it."""
