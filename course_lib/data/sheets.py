"""A contact sheet: the first pictures of a dataset beside each other, with their boxes."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def contact_sheet(
    dataset: Any, n: int = 12, *, columns: int = 4, first: int = 0, labels: bool | None = None
) -> "Figure":
    """A figure of n pictures with their boxes; colours tell classes, dashes mark crowds.

        draw.show(contact_sheet(Shapes()), "Twelve pictures.", "Coloured shapes with boxes.")

    first: the index of the first picture. Where there are fewer than n, there are fewer.
    labels: whether classes are written at the boxes, or once below the pictures. By default below,
        as long as each class has a colour of its own.
    Errors: ValueError if there is no picture to show.
    """
    import matplotlib.pyplot as plt  # only those who want a figure wait for it

    from course_lib import draw

    indices = range(first, min(first + n, len(dataset)))
    if not indices or columns < 1:
        raise ValueError(
            f"n and columns must be 1 or more and first below {len(dataset)}, the length of the "
            f"dataset; got n={n}, columns={columns}, first={first}"
        )
    if labels is None:
        labels = len(dataset.classes) > len(draw.PALETTE)
    columns = min(columns, len(indices))
    rows = -(-len(indices) // columns)
    samples = [dataset[i] for i in indices]
    tall = max(image.shape[1] / image.shape[2] for image, _ in samples)
    wide = 9.6 / columns
    fig, axes = plt.subplots(rows, columns, figsize=(9.6, rows * wide * tall), squeeze=False)
    fig.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0.02, hspace=0.02)
    for ax in axes.flat[len(indices) :]:
        ax.set_axis_off()
    for ax, (image, target) in zip(axes.flat, samples, strict=False):
        given = target["labels"].tolist()
        colors = [draw.PALETTE[k % len(draw.PALETTE)] for k in given]
        names = [dataset.classes[k] for k in given] if labels else None
        draw.draw_boxes(image, target["boxes"], names, colors=colors, ax=ax)
        if "iscrowd" in target:
            outlines = [patch for patch in ax.patches if not patch.get_fill()]
            for outline, crowd in zip(outlines, target["iscrowd"].tolist(), strict=False):
                outline.set_linestyle("--" if crowd else "-")
    if not labels:
        _legend(fig, {name: draw.PALETTE[k] for k, name in enumerate(dataset.classes)}, draw.INK)
    return fig


def _legend(fig: "Figure", colors: dict[str, str], ink: str) -> None:
    """The classes in one row below the pictures."""
    from matplotlib.patches import Patch

    handles = [Patch(facecolor="none", edgecolor=color, linewidth=2) for color in colors.values()]
    fig.legend(
        handles, list(colors), loc="upper center", bbox_to_anchor=(0.5, 0), ncols=len(colors),
        frameon=False, labelcolor=ink, handlelength=1, handleheight=1, columnspacing=1.4,
    )  # fmt: skip
