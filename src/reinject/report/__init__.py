"""Make one self-contained HTML page, and the pictures beside it."""
