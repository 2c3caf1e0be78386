"""Judge tables of mixed columns: one judgement in each file, each with controls beside it."""
