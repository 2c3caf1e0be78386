"""What the server of :mod:`reinject.processes` imports first, and nothing else does: how it and its processes begin.

It begins as ``python -c`` does, with the working folder before all others: a user's ``torch.py`` there would be run.
"""

import sys

sys.path[:] = [folder for folder in sys.path if folder]

from reinject.processes import keep_memory  # noqa: E402

keep_memory()
