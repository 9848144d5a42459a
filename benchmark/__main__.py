"""``python -m benchmark``: what the script ``benchmark`` does, and imports nothing else."""

import sys

if not sys.flags.safe_path:
    # Python has put the current folder there, in which a file may have any module's name.
    del sys.path[0]

from benchmark.cli.main import main

main()
