"""Judge archives: one judgement in each file, each with a stated question."""
