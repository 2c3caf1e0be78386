"""Pictures, drawn with matplotlib; every function writes one PNG."""

from reinject.figures.samples import (
    class_histogram,
    film_strip,
    learning_curves,
    nearest_rows,
    pca_plane,
    samples_by_class,
)
from reinject.figures.theory import convergence, eigenvalues, reconstructions, score_fields, walks

__all__ = [
    "class_histogram",
    "convergence",
    "eigenvalues",
    "film_strip",
    "learning_curves",
    "nearest_rows",
    "pca_plane",
    "reconstructions",
    "samples_by_class",
    "score_fields",
    "walks",
]
