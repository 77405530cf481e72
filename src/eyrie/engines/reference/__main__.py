"""`python -m eyrie.engines.reference`: see `command.py`."""

import sys

from eyrie.importing import large_imports

with large_imports():
    from eyrie.engines.reference.command import main

sys.exit(main(sys.argv[1:]))
