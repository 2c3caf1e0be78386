"""Learn tasks in sequence without forgetting: rehearse what old models remember, in place of their data."""

from reinject.continual.rehearsal import Block, Source
from reinject.continual.remember import train_remembering
from reinject.continual.remember_table import train_table_remembering
from reinject.continual.replay import Mixed, Replay
from reinject.training.plans import Remember

__all__ = ["Block", "Mixed", "Remember", "Replay", "Source", "train_remembering", "train_table_remembering"]


def __dir__() -> list[str]:
    return sorted(__all__)
