"""The benchmark of the benchmark: what the framework costs, and what others cost (`make perf`)."""
