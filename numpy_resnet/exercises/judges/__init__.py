"""What is asked of each exercise. A judge is a generator: it is given a student and a seed, and yields Checks."""

from numpy_resnet.exercises.judges.check import AWKWARD, INVARIANTS, PARTS, SHAPE, VALUES, Check, Judge

__all__ = ["AWKWARD", "INVARIANTS", "PARTS", "SHAPE", "VALUES", "Check", "Judge"]
