"""The contenders: each module has ``contend(workload, turns)``, run in a process of its own."""
