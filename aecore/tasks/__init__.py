"""What run.py can be asked to do."""

from aecore.tasks.base import Request, Task
from aecore.tasks.combinations import Combinations
from aecore.tasks.compare import Compare
from aecore.tasks.list import List
from aecore.tasks.train import Train

__all__ = ["Combinations", "Compare", "List", "Request", "Task", "Train"]
