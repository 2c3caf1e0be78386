"""The paper's propositions, checked by number: each check returns rows claim / exact / measured / error / verdict."""

from reinject.theory.rows import Row

__all__ = ["Row"]
