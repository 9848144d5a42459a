"""What may make a step on a GPU cheaper: each tried against the step as it is, outside the product.

A file has one idea and changes one method of ``perf.experiments.step.Step``. On a CPU the tests
compare what both come to; what pays is measured on a GPU by ``perf.gpu``.
"""
