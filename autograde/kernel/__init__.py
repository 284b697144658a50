"""Kernels that begin warm: what runs inside the sandbox before any line of a student's does."""
