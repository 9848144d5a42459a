"""The command line in a process of its own, for what a process can meet with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys


def start(*arguments: str, new_session: bool = False, **environment: str) -> subprocess.Popen[str]:
    """Start the command line, in a session of its own if wanted, and with more environment."""
    return subprocess.Popen(
        [sys.executable, "-m", "benchmark", *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=new_session,
        # Where a shell started the tests in the background, they and their children ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
