"""Files to go on from: the model and everything else that the next step depends on."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import nn

from course_lib.engine.config import FitConfig

FORMAT = 1


def write_checkpoint(path: str | PathLike[str], state: dict[str, Any]) -> None:
    """Writes the file whole or not at all: whoever pulls the plug finds the one before."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    torch.save({"format": FORMAT, **state}, unfinished)
    os.replace(unfinished, path)


def read_checkpoint(path: str | PathLike[str]) -> dict[str, Any]:
    """What `write_checkpoint` wrote, on the CPU. Nothing in the file is executed.

    Errors: FileNotFoundError; ValueError for a file that is no checkpoint of ours.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no checkpoint {str(path)!r}") from None
    except Exception as error:  # torch.load has many ways to fail
        raise ValueError(f"{str(path)!r} cannot be read as a checkpoint: {error}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(f"{str(path)!r} is not a checkpoint that `fit` wrote")
    return state


def load_weights(model: nn.Module, path: str | PathLike[str]) -> None:
    """Gives a model the weights of a checkpoint: the averaged ones if the training averaged.

    Errors: those of `read_checkpoint`, and RuntimeError where the model is another one.
    """
    state = read_checkpoint(path)
    model.load_state_dict(state["ema"]["average"] if state["ema"] else state["model"])


def check_continues(state: dict[str, Any], config: FitConfig, images: int) -> None:
    """Would going on with this config be the training that was begun?

    Errors: ValueError that names what differs.
    """
    now = {**config.deciding(), "images of the dataset": images}
    begun = {**state["config"], "images of the dataset": state["images"]}
    different = [
        f"{key}: {begun.get(key)!r} then, {now[key]!r} now"
        for key in now
        if begun.get(key) != now[key]
    ]
    if different:
        raise ValueError(
            "the checkpoint is of another training, so it cannot be resumed; "
            + "; ".join(different)
            + ". To begin anew from its weights: load_weights(model, path), then fit without resume"
        )
