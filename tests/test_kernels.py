"""The GPU's kernels, run one program at a time on the processor, against the plain versions."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from test_suppression import case, expected
from torch import Tensor
from torch.testing import assert_close

from course_lib import _greedy
from course_lib import kernels as package
from course_lib.losses import classification, sigmoid_focal_loss
from course_lib.pooling import MultiScaleRoIAlign, align, roi_align
from course_lib.suppression import batched_nms, nms

NAMES = ("nms", "roi_align", "focal_loss")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
pytestmark = pytest.mark.filterwarnings("ignore:.*:RuntimeWarning:triton")


def load(name: str) -> ModuleType:
    """A module of kernels, without the checks of shapes: Triton reads its functions as they are."""
    file = Path(package.__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"course_lib.kernels.{name}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_all() -> SimpleNamespace:
    """The modules as they are on a GPU; without one, as Triton's interpreter runs them.

    Triton decides that when it is imported: here, at once, and for the whole process.
    """
    with pytest.MonkeyPatch.context() as patch:
        if DEVICE == "cpu":
            patch.setenv("TRITON_INTERPRET", "1")
        pytest.importorskip("triton", reason="Triton is there on Linux only")
        return SimpleNamespace(**{name: load(name) for name in NAMES})


KERNELS = load_all()


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The ops choose as they would on a GPU."""
    if DEVICE == "cpu":
        monkeypatch.setenv("TRITON_INTERPRET", "1")
    for name in NAMES:
        module = getattr(KERNELS, name)
        monkeypatch.setitem(sys.modules, f"course_lib.kernels.{name}", module)
        monkeypatch.setattr(package, name, module, raising=False)
    for module in (_greedy, align, classification):
        monkeypatch.setattr(module, "usable", lambda tensor: True)
    monkeypatch.setattr(KERNELS.nms, "T", 16)
    monkeypatch.setattr(KERNELS.nms, "TILES", 2)
    return KERNELS


def on_device(given: tuple) -> tuple:
    return tuple(each.to(DEVICE) if isinstance(each, Tensor) else each for each in given)


# --- nms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", range(4))
def test_nms_equals_a_loop(as_on_a_gpu: SimpleNamespace, part: int) -> None:
    """Ties, nested, empty, infinite and NaN boxes, whole numbers, half types, many classes."""
    small = [number for number in range(600) if len(case(number)[0]) < 60]
    for number in small[part::16]:
        boxes, scores, classes, threshold = on_device(case(number))
        alone, batched = expected(number)
        assert nms(boxes, scores, threshold).tolist() == alone, number
        assert batched_nms(boxes, scores, classes, threshold).tolist() == batched, number


def test_nms_of_more_than_one_panel(as_on_a_gpu: SimpleNamespace) -> None:
    big = [number for number in range(220, 1000) if len(case(number)[0]) > 100][::9]
    assert len(big) > 3
    for number in big:
        boxes, scores, classes, threshold = on_device(case(number))
        alone, batched = expected(number)
        assert nms(boxes, scores, threshold).tolist() == alone, number
        assert batched_nms(boxes, scores, classes, threshold).tolist() == batched, number


@pytest.mark.parametrize("width", [2**24, 2**23, 100.0, 1e-18, 3e18])
def test_nms_is_exact_where_float32_is_not(as_on_a_gpu: SimpleNamespace, width: float) -> None:
    """Just above and just below the threshold, in the last digit of float32."""
    width = float(torch.tensor(width, dtype=torch.float32))
    half = torch.tensor(width / 2, dtype=torch.float32)
    for end in (half, half.nextafter(torch.tensor(0.0)), half.nextafter(torch.tensor(1e30))):
        boxes = torch.tensor([[0, 0, width, width], [0, 0, float(end), width]])
        above = (float(end) * width) / (width * width) > 0.5
        scores = torch.tensor([2.0, 1.0], device=DEVICE)
        assert nms(boxes.to(DEVICE), scores, 0.5).tolist() == ([0] if above else [0, 1])


def test_a_threshold_that_float32_does_not_hold(as_on_a_gpu: SimpleNamespace) -> None:
    """0.7 in float32 is below 0.7, and a box of 7 in one of 10 would be above it."""
    boxes = torch.tensor([[0, 0, 10, 1], [0, 0, 7, 1]])
    for kind in (torch.float32, torch.float64, torch.int64):
        scores = torch.tensor([2.0, 1.0], device=DEVICE)
        assert nms(boxes.to(DEVICE, kind), scores, 0.7).tolist() == [0, 1]


# --- RoIAlign ------------------------------------------------------------------------------------

ROIS = torch.tensor(
    [
        [0, 0, 30, 30],
        [10, 5, 50, 35],
        [-9, -9, 20, 12],
        [40, 20, 10, 30],  # inverted
        [5, 5, 5, 5],  # empty
        [100, 100, 120, 120],  # outside
        [-4, -4, 52, 36],
        [47.9, 0, 52, 36],
    ]
)
WILD = torch.tensor(
    [[0, 0, 1e9, 1e9], [-1e12, 3, 1e12, 30], [torch.nan, 0, 3, 3], [0, 0, torch.inf, 9]]
)


def with_image(boxes: Tensor) -> Tensor:
    image = torch.arange(len(boxes)) % 2
    return torch.cat((image[:, None].float(), boxes), dim=1).to(DEVICE)


@pytest.mark.parametrize(
    ("boxes", "samples", "aligned"),
    [(ROIS, samples, aligned) for samples in (-1, 1, 2) for aligned in (True, False)]
    + [(WILD, -1, True), (WILD, 2, False)],
)
def test_roi_align(
    as_on_a_gpu: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    aligned: bool,
    samples: int,
    boxes: Tensor,
) -> None:
    bins = (2, 3) if boxes is WILD else (7, 7)
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 9, 9, 13, generator=generator).to(DEVICE).requires_grad_()
    given = (maps, with_image(boxes), bins, 0.25, samples, aligned)
    pooled = roi_align(*given)
    wanted = torch.randn(pooled.shape, generator=generator).to(DEVICE)
    (slope,) = torch.autograd.grad(pooled, maps, wanted)
    monkeypatch.setattr(align, "usable", lambda tensor: False)
    plain = roi_align(*given)
    assert_close(pooled, plain, atol=1e-5, rtol=1e-5)
    assert_close(slope, torch.autograd.grad(plain, maps, wanted)[0], atol=3e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float16])
def test_roi_align_of_channels_last_and_half_types(
    as_on_a_gpu: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, kind: torch.dtype
) -> None:
    maps = torch.randn(2, 12, 9, 13, generator=torch.Generator().manual_seed(1))
    maps = maps.to(DEVICE, kind).to(memory_format=torch.channels_last).requires_grad_()
    given = (maps, with_image(ROIS[:7]), (3, 3), 0.25, 2, True)
    pooled = roi_align(*given)
    assert pooled.dtype == kind
    (slope,) = torch.autograd.grad(pooled.sum(), maps)
    assert slope.dtype == kind
    monkeypatch.setattr(align, "usable", lambda tensor: False)
    plain = roi_align(*given)
    away = {"atol": 1e-5, "rtol": 1e-5} if kind == torch.float32 else {"atol": 2e-2, "rtol": 2e-2}
    assert_close(pooled, plain, **away)
    assert_close(slope, torch.autograd.grad(plain.sum(), maps)[0], **away)


def test_roi_align_on_a_pyramid(
    as_on_a_gpu: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(2)
    maps = {
        str(k): torch.randn(1, 3, 64 >> k, 96 >> k, generator=generator).to(DEVICE).requires_grad_()
        for k in range(3)
    }
    corner = torch.rand(9, 2, generator=generator) * 200
    side = 8 * 40 ** torch.rand(9, 2, generator=generator)
    boxes = [torch.cat((corner, corner + side), dim=1).to(DEVICE)]
    pooler = MultiScaleRoIAlign(list(maps), 3, 2, canonical_scale=56, canonical_level=3)
    pooled = pooler(maps, boxes, [(256, 384)])
    slopes = torch.autograd.grad(pooled.square().sum(), list(maps.values()))
    assert sum(bool(slope.any()) for slope in slopes) > 1  # boxes of several levels
    monkeypatch.setattr(align, "usable", lambda tensor: False)
    plain = pooler(maps, boxes, [(256, 384)])
    assert_close(pooled, plain, atol=1e-5, rtol=1e-5)
    plain_slopes = torch.autograd.grad(plain.square().sum(), list(maps.values()))
    for mine, other in zip(slopes, plain_slopes, strict=True):
        assert_close(mine, other, atol=1e-4, rtol=1e-5)


def test_roi_align_has_a_second_gradient(as_on_a_gpu: SimpleNamespace) -> None:
    maps = torch.randn(1, 2, 6, 6, generator=torch.Generator().manual_seed(3))
    maps = maps.to(DEVICE).requires_grad_()

    def slope(of: Tensor) -> Tensor:
        pooled = roi_align(of, [torch.tensor([[1.0, 1, 5, 4]], device=DEVICE)], 2, 1.0, 2, True)
        return torch.autograd.grad(pooled.pow(3).sum(), of, create_graph=True)[0]

    (second,) = torch.autograd.grad(slope(maps).square().sum(), maps)
    shift, h = torch.randn(maps.shape, generator=torch.Generator().manual_seed(4)), 1e-2
    shift = shift.to(DEVICE)
    ahead, back = (slope(maps + sign * h * shift).square().sum() for sign in (1, -1))
    assert_close((second * shift).sum(), (ahead - back) / (2 * h), rtol=1e-2, atol=1e-3)


def test_no_regions_and_float64_and_an_order_that_counts(as_on_a_gpu: SimpleNamespace) -> None:
    maps = torch.randn(1, 2, 6, 6, device=DEVICE, requires_grad=True)
    none = roi_align(maps, [torch.zeros(0, 4, device=DEVICE)], 2)
    assert none.shape == (0, 2, 2, 2)
    assert not torch.autograd.grad(none.sum(), maps)[0].any()
    takes = as_on_a_gpu.roi_align.takes
    assert takes([maps])
    assert not takes([maps.double()])
    torch.use_deterministic_algorithms(True)
    try:
        assert not takes([maps])
    finally:
        torch.use_deterministic_algorithms(False)


# --- focal loss ----------------------------------------------------------------------------------

LOGITS = torch.cat((torch.linspace(-30, 30, 301), torch.tensor([0.0, -100, 100, 88, -88, 17])))
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 1e-2}


@pytest.mark.parametrize("kind", TOLERANCE)
@pytest.mark.parametrize("gamma", [0, 1, 2.0, 5])
@pytest.mark.parametrize("alpha", [0.25, -1, 0.1])
def test_focal_loss(
    as_on_a_gpu: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    kind: torch.dtype,
    gamma: float,
    alpha: float,
) -> None:
    logits = LOGITS.to(DEVICE, kind).requires_grad_()
    tiny = 1e-37 if kind != torch.float16 else 1e-7
    for target, reduction in ((0.0, "none"), (1.0, "sum"), (0.3, "mean")):
        given = (logits, torch.full_like(logits, target).detach(), alpha, gamma, reduction)
        loss = sigmoid_focal_loss(*given)
        (slope,) = torch.autograd.grad(loss.sum(), logits)
        with monkeypatch.context() as plainly:
            plainly.setattr(classification, "usable", lambda tensor: False)
            plain = sigmoid_focal_loss(*given)
            (plain_slope,) = torch.autograd.grad(plain.sum(), logits)
        assert_close(loss, plain, atol=tiny, rtol=TOLERANCE[kind])
        # For targets between, the slope crosses 0, where nothing is right to a share of it.
        assert_close(slope, plain_slope, atol=1e-6 if target == 0.3 else tiny, rtol=TOLERANCE[kind])


def test_focal_loss_of_any_shape_and_its_second_gradient(as_on_a_gpu: SimpleNamespace) -> None:
    logits = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    logits = logits.to(DEVICE).double().transpose(0, 2).requires_grad_()  # not in one piece
    targets = (torch.arange(60).reshape(5, 4, 3) % 3 == 0).to(DEVICE).double()

    def loss(x: Tensor) -> Tensor:
        return sigmoid_focal_loss(x, targets, 0.25, 2)

    assert loss(logits).shape == (5, 4, 3)
    assert torch.autograd.gradcheck(loss, logits)
    assert torch.autograd.gradgradcheck(loss, logits)
    assert sigmoid_focal_loss(*torch.zeros(2, 0, 3, device=DEVICE)).shape == (0, 3)


def test_what_the_focal_kernel_leaves_to_the_plain_version(as_on_a_gpu: SimpleNamespace) -> None:
    takes, x, t = as_on_a_gpu.focal_loss.takes, torch.zeros(3), torch.zeros(3)
    assert takes(x, t, 2)
    assert not takes(x, t, 1.5)
    assert not takes(x, t.requires_grad_(), 2)


# --- all of them ---------------------------------------------------------------------------------

COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from course_lib.kernels import focal_loss, nms, roi_align

def build(kernel, signature, **constants):
    given = {**signature, **dict.fromkeys(constants, "constexpr")}
    source = ASTSource(kernel, given, constexprs=constants)
    assert triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"]

for wide in (False, True):
    kind = "*fp64" if wide else "*fp32"
    given = {"boxes": kind, "classes": "*i64", "keep": "*i8", "N": "i32", "start": "i32",
             "threshold": "*fp64"}
    for kernel in (nms._settle_panel, nms._suppress_behind):
        build(kernel, given, CLASSES=True, WIDE=wide, T=nms.T, TILES=nms.TILES)
for kind in ("*fp32", "*bf16"):
    numbers = dict.fromkeys("LEVEL C H W stride_b stride_c stride_h stride_w".split(), "i32")
    for back in (False, True):
        given = {"map": "*fp32" if back else kind, "sides": "*fp64", "images": "*i64",
                 "levels": "*i64", "pooled": kind, **numbers}
        build(roi_align._pool, given, P=7, Q=7, BINS=64, CHANNELS=8, SAMPLES=0, BACK=back)
    given = {"inputs": kind, "targets": kind, "alphas": "*fp64", "N": "i32"}
    constants = {"GAMMA": 2, "WIDE": False, "BLOCK": focal_loss.BLOCK}
    build(focal_loss._loss, {**given, "losses": "*fp32"}, **constants)
    build(focal_loss._slope, {**given, "grads": "*fp32", "slopes": kind}, **constants)
print("all built")
"""


def test_the_kernels_compile_for_a_gpu(tmp_path: Path) -> None:
    """Down to the machine code of an H100 or H200, which needs no such GPU."""
    command = [sys.executable, "-c", COMPILE]
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.stdout.strip().endswith("all built"), done.stderr[-3000:]


def test_nothing_loads_triton_without_a_gpu() -> None:
    code = "import sys, course_lib.losses, course_lib.pooling, course_lib.suppression as s, torch\n"
    code += "s.nms(torch.rand(9, 4), torch.rand(9), 0.5)\nprint('triton' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "False", done.stderr[-2000:]
