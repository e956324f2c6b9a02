"""Numba loops over plain channels-last arrays. Nothing outside this folder imports Numba."""
