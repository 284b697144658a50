"""What was measured, kept: as JSON with the machine and the versions, and as tables to read.

`python -m benchmarks.record` writes the tables of all kept results into benchmarks/README.md,
between the lines that name them; a test holds both together.
"""

from __future__ import annotations

import json
import os
import platform
import re
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
README = HERE / "README.md"
MARK = re.compile(r"(<!-- table (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def machine(device: str, threads: int) -> dict[str, Any]:
    """Where and with what: for the head of a result."""
    import torch
    import torchvision

    name = torch.cuda.get_device_name() if device == "cuda" else processor()
    return {
        "device": device,
        "name": name,
        "cores": os.cpu_count(),
        "threads": threads,
        "torch": torch.__version__.split("+")[0],
        "torchvision": torchvision.__version__.split("+")[0],
        "python": platform.python_version(),
        "date": str(date.today()),
    }


def processor() -> str:
    """The processor's own name, where the system tells it."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"model name\s*:\s*(.+)", text)
    return found[1].strip() if found else platform.machine()


def save(name: str, machine: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Keep rows, in place of the same ones measured before. Another machine begins anew."""
    file = HERE / "results" / f"{name}.json"
    kept: dict[tuple[str, str], Any] = {}
    if file.exists():
        before = json.loads(file.read_text(encoding="utf-8"))
        if before["machine"] == machine:
            kept = {(row["op"], row["size"]): row for row in before["rows"]}
    kept |= {(row["op"], row["size"]): row for row in rows}
    result = {"machine": machine, "rows": list(kept.values())}
    file.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


HEAD = """\
| op | size | torchvision ms | ours ms | ratio | torchvision MiB | ours MiB |
| --- | --- | ---: | ---: | ---: | ---: | ---: |
"""


def row_text(row: dict[str, Any]) -> str:
    theirs, ours = (_with_spread(row[side]) for side in ("torchvision_ms", "ours_ms"))
    memory = (f"{row[side]:.3g}" for side in ("torchvision_mib", "ours_mib"))
    ratio = row["torchvision_ms"][1] / row["ours_ms"][1]
    return (
        f"| {row['op']} | {row['size']} | {theirs} | {ours} | {ratio:.2f} | {' | '.join(memory)} |"
    )


def _with_spread(quartiles: list[float]) -> str:
    """The median, and half the distance of the quartiles."""
    low, middle, high = quartiles
    return f"{middle:.4g} ± {(high - low) / 2:.2g}"


def exponents_text(rows: list[dict[str, Any]]) -> str:
    """A line for each op that was measured at several sizes."""
    from benchmarks.measure import exponent

    lines = []
    for op in dict.fromkeys(row["op"] for row in rows if row["n"]):
        same = [row for row in rows if row["op"] == op and row["n"]]
        sizes = [row["n"] for row in same]
        if len(sizes) > 1:
            ours, theirs = (
                exponent(sizes, [row[side][1] for row in same])
                for side in ("ours_ms", "torchvision_ms")
            )
            span = f"{min(sizes):,} to {max(sizes):,}"
            lines.append(f"| {op} | {span} | {theirs:.2f} | {ours:.2f} |")
    if not lines:
        return ""
    head = "| cost ∝ size^k | sizes | torchvision k | ours k |\n| --- | --- | ---: | ---: |\n"
    return "\n" + head + "\n".join(lines) + "\n"


def table(result: dict[str, Any]) -> str:
    """A result as Markdown: where it was measured, the rows, and how cost grows with size."""
    at = result["machine"]
    where = f"{at['name']}, {at['threads']} threads" if at["device"] == "cpu" else at["name"]
    said = f"On {at['date']}, {where}, torch {at['torch']}, torchvision {at['torchvision']}:\n\n"
    rows = "".join(row_text(row) + "\n" for row in result["rows"])
    return said + HEAD + rows + exponents_text(result["rows"])


def with_tables(text: str) -> str:
    """The page with each table as its result says it."""

    def fill(found: re.Match[str]) -> str:
        result = json.loads((HERE / "results" / f"{found[2]}.json").read_text())
        return found[1] + table(result) + found[3]

    return MARK.sub(fill, text)


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text()))
