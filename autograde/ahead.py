"""Imported by the process from which local workers are forked: what all need is there once."""

from __future__ import annotations

import gc

from autograde import batch, jobs

__all__ = ["batch", "jobs"]

jobs.exporter()
gc.collect()
gc.freeze()  # the collector need not touch, and so copy, what all workers share
