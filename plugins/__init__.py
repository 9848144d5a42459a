"""The built-in plugins, installed as ``benchmark_plugins`` and found by entry point."""
