"""Benchmarks: every figure beside its raw limit, measured in the same run. ``python -m bench --help``."""
