"""What run.py can be asked to do."""

from aecore.collecting import uncollected

with uncollected():  # torch, Lightning and all else come in here
    from aecore.tasks.base import Request, Task
    from aecore.tasks.combinations import Combinations
    from aecore.tasks.compare import Compare
    from aecore.tasks.compress import Compress
    from aecore.tasks.encode import Encode
    from aecore.tasks.evaluate import Evaluate
    from aecore.tasks.export import Export
    from aecore.tasks.interpolate import Interpolate
    from aecore.tasks.list import List
    from aecore.tasks.reconstruct import Reconstruct
    from aecore.tasks.sample import Sample
    from aecore.tasks.score import Score
    from aecore.tasks.train import Train
    from aecore.tasks.traverse import Traverse

__all__ = [
    "Combinations",
    "Compare",
    "Compress",
    "Encode",
    "Evaluate",
    "Export",
    "Interpolate",
    "List",
    "Reconstruct",
    "Request",
    "Sample",
    "Score",
    "Task",
    "Train",
    "Traverse",
]
