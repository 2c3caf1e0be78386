"""What the server of :mod:`reinject.processes` imports first, and nothing else does: where it looks for modules.

It begins as ``python -c`` does, with the working folder before all others: a user's ``torch.py`` there would be run.
"""

import sys

sys.path[:] = [folder for folder in sys.path if folder]
