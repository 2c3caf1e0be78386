"""Run the paper's experiments: theory, figures, tables of results, peers, the demo."""
