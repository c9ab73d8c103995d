"""Compiled kernels and numerical helpers that the stages share."""
