"""One judgement a file, each with a stated question."""
