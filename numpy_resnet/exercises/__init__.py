"""Exercises that check themselves, and a zoo of wrong backwards to try the checks on."""

from numpy_resnet.exercises.catalogue import EXERCISES, Exercise
from numpy_resnet.exercises.judge import Verdict, judge
from numpy_resnet.exercises.sandbox import missing_limits

__all__ = ["EXERCISES", "Exercise", "Verdict", "judge", "missing_limits"]
