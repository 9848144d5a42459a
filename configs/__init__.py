"""The presets, installed as ``benchmark.presets``."""
