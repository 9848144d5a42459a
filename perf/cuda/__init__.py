"""What only a GPU can show: that a captured step trains as eager steps do, whatever is around it.

``make perf-gpu`` runs these tests where there is a GPU, and ``make test`` everywhere. They need
nothing of ``tests/``, which does not travel. With ``PERF_GPU_DEVICE=cpu`` they run on a CPU, and
steps are eager there.
"""
