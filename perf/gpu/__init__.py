"""What a GPU makes of the engine, within nine minutes: ``make perf-gpu``.

``perf.gpu.parts`` lists what is measured, in the order of its importance. Each measurement is a
row, printed and on disk the moment it is there, and costs no other row, whatever becomes of it.
"""
