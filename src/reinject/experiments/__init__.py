"""The experiments of the paper: theory, figures, tables of results, peers, the demo."""
