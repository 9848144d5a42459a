"""The command line: one file a command. The only place that imports click."""
