"""Exercises of a course; so far the bug zoo, on which the gradient doctor is measured."""
