"""Somebody's code in a process of its own: the child computes, the parent judges."""

from numpy_resnet.exercises.sandbox.student import LIMITS, Limits, RunawayError, Student, StudentError, missing_limits

__all__ = ["LIMITS", "Limits", "RunawayError", "Student", "StudentError", "missing_limits"]
