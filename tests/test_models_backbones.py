"""Backbones and pyramids: names and numbers of torchvision's, norms, the pyramid by hand."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import Tensor, nn

from course_lib.models.backbones import BACKBONES, BasicBlock, ResNet, create_backbone
from course_lib.models.norms import FrozenBatchNorm2d, Norm, norm_layer, without_eps
from course_lib.models.pyramid import (
    BackboneWithFPN,
    FeaturePyramidNetwork,
    LastLevelP6P7,
    top_down,
)

# Parameters without the classifier, as the sums of the published tables' layers have them.
PARAMETERS = {
    "resnet18": 11_689_512 - 513 * 1000,
    "resnet34": 21_797_672 - 513 * 1000,
    "resnet50": 25_557_032 - 2049 * 1000,
    "resnet101": 44_549_160 - 2049 * 1000,
}
DEPTHS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
}


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def published_names(name: str) -> set[str]:
    """The state dict's keys, spelled out from the published structure."""
    deep = name in ("resnet50", "resnet101")
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    keys = ["conv1.weight", *(f"bn1.{n}" for n in norm)]
    for layer, depth in enumerate(DEPTHS[name], start=1):
        for block in range(depth):
            at = f"layer{layer}.{block}"
            for k in (1, 2, 3) if deep else (1, 2):
                keys += [f"{at}.conv{k}.weight", *(f"{at}.bn{k}.{n}" for n in norm)]
            if block == 0 and (deep or layer > 1):
                keys += [f"{at}.downsample.0.weight"]
                keys += [f"{at}.downsample.1.{n}" for n in norm]
    return set(keys)


@pytest.mark.parametrize("name", PARAMETERS)
def test_resnets_have_the_published_parameters(name: str) -> None:
    with torch.device("meta"):
        body = create_backbone(name)
    assert count(body) == PARAMETERS[name]
    assert set(body.state_dict()) == published_names(name)
    assert str(PARAMETERS[name]) in (BACKBONES[name].__doc__ or "").replace(",", "")


@pytest.mark.parametrize("name", ["tiny", "resnet18", "resnet50"])
@pytest.mark.parametrize("size", [(64, 96), (97, 130)])
def test_maps_halve_from_level_to_level(name: str, size: tuple[int, int]) -> None:
    body = create_backbone(name).eval()
    maps = body(torch.rand(2, 3, *size))
    for level, (channels, each) in enumerate(zip(body.channels, maps, strict=True), start=2):
        grid = tuple(-(-side // 2**level) for side in size)
        assert each.shape == (2, channels, *grid)
        assert (each >= 0).all()


def test_weights_of_a_classifier_load() -> None:
    body = create_backbone("resnet18")
    weights = {
        name: torch.rand_like(w.float()).to(w.dtype) for name, w in body.state_dict().items()
    }
    classifier = weights | {"fc.weight": torch.rand(1000, 512), "fc.bias": torch.rand(1000)}
    body.load_state_dict(classifier)  # strict: every other name must be there
    for name, loaded in body.state_dict().items():
        assert torch.equal(loaded, weights[name])
    frozen = create_backbone("resnet18", "frozen")
    frozen.load_state_dict(classifier)
    assert torch.equal(frozen.layer3[0].bn2.running_var, weights["layer3.0.bn2.running_var"])
    with pytest.raises(RuntimeError, match=r"layer1\.0\.conv1\.weight"):
        body.load_state_dict({k: v for k, v in weights.items() if k != "layer1.0.conv1.weight"})


@pytest.mark.parametrize("trainable", range(6))
def test_freeze(trainable: int) -> None:
    body = create_backbone("tiny")
    body.freeze(trainable)
    learning = {n.split(".")[0] for n, p in body.named_parameters() if p.requires_grad}
    expected = ["layer4", "layer3", "layer2", "layer1"][:trainable]
    assert learning == set(expected) | ({"conv1", "bn1"} if trainable == 5 else set())
    with pytest.raises(ValueError, match=r"0\.\.5, got 6"):
        body.freeze(6)


def test_wrong_names_and_depths_are_explained() -> None:
    with pytest.raises(KeyError, match="there is no backbone 'vgg'; there are: resnet18"):
        create_backbone("vgg")
    with pytest.raises(ValueError, match='norm must be "frozen", "batch" or "group", got'):
        inspect.unwrap(norm_layer)("layer")  # past jaxtyping, which users do not have
    with pytest.raises(ValueError, match="four numbers"):
        ResNet(BasicBlock, (1, 1, 1))


# --- norms ---------------------------------------------------------------------------------------


def trained_norm(channels: int = 6) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels)
    for tensor in norm.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(channels) + 0.1)
    return norm.eval()


def test_frozen_is_batch_norm_in_evaluation() -> None:
    trained, x = trained_norm(), torch.randn(3, 6, 5, 7)
    frozen = FrozenBatchNorm2d(6)
    frozen.load_state_dict(trained.state_dict())
    assert set(frozen.state_dict()) == {"weight", "bias", "running_mean", "running_var"}
    assert list(frozen.parameters()) == []
    for mode in (True, False):
        torch.testing.assert_close(frozen.train(mode)(x), trained(x), rtol=1e-5, atol=1e-6)
    assert torch.equal(frozen.running_mean, trained.running_mean)
    frozen.apply(without_eps)
    trained.eps = 0.0
    torch.testing.assert_close(frozen(x), trained(x), rtol=1e-5, atol=1e-6)
    assert "6, eps=0.0" in repr(frozen)


def test_frozen_keeps_half_types() -> None:
    x = torch.randn(1, 4, 3, 3).bfloat16()
    assert FrozenBatchNorm2d(4)(x).dtype == torch.bfloat16


@pytest.mark.parametrize("norm", ["frozen", "batch", "group"])
def test_every_norm_serves_every_backbone(norm: Norm) -> None:
    body = create_backbone("tiny", norm)
    maps = body(torch.rand(2, 3, 64, 64))
    sum(each.mean() for each in maps).backward()
    assert body.conv1.weight.grad.isfinite().all()
    kinds = {type(m) for m in body.modules() if "Norm" in type(m).__name__}
    assert kinds == {type(norm_layer(norm)(4))}


def test_groups_fit_the_channels() -> None:
    for channels, groups in ((256, 32), (48, 16), (20, 4), (7, 1)):
        assert norm_layer("group")(channels).num_groups == groups


def test_group_norm_needs_no_batch() -> None:
    body = create_backbone("tiny", "group")
    images = torch.rand(2, 3, 64, 64)
    together, alone = body(images)[3], body(images[:1])[3]
    torch.testing.assert_close(together[:1], alone, rtol=1e-4, atol=1e-5)


# --- the pyramid ---------------------------------------------------------------------------------


def by_hand(laterals: list[Tensor]) -> list[Tensor]:
    """Every location asks the location above it, in plain loops."""
    sums = [laterals[-1].clone()]
    for lateral in reversed(laterals[:-1]):
        out = lateral.clone()
        (H, W), (h, w) = lateral.shape[-2:], sums[0].shape[-2:]
        for y in range(H):
            for x in range(W):
                out[:, :, y, x] += sums[0][:, :, y * h // H, x * w // W]
        sums.insert(0, out)
    return sums


@pytest.mark.parametrize("sizes", [[(8, 12), (4, 6), (2, 3)], [(7, 5), (4, 3), (2, 2)], [(3, 3)]])
def test_top_down_is_a_loop_over_places(sizes: list[tuple[int, int]]) -> None:
    laterals = [torch.randn(2, 3, *size) for size in sizes]
    before = [each.clone() for each in laterals]
    for actual, expected in zip(top_down(laterals), by_hand(laterals), strict=True):
        assert torch.equal(actual, expected)
    assert all(torch.equal(a, b) for a, b in zip(laterals, before, strict=True))


def test_top_down_example_by_hand() -> None:
    p5, p4 = (
        torch.tensor([[[[1.0, 2.0]]]]),
        torch.tensor([[[[10.0, 20, 30, 40], [50, 60, 70, 80]]]]),
    )
    fine, coarse = top_down([p4, p5])
    assert torch.equal(coarse, p5)
    assert fine[0, 0].tolist() == [[11, 21, 32, 42], [51, 61, 72, 82]]


@pytest.mark.parametrize("source", ["P5", "C5"])
def test_levels_and_names_of_a_pyramid(source: str) -> None:
    pyramid = BackboneWithFPN(create_backbone("tiny"), 24, extra=source)
    maps = pyramid.eval()(torch.rand(2, 3, 96, 160))
    assert pyramid.strides == [8, 16, 32, 64, 128]
    for stride, each in zip(pyramid.strides, maps, strict=True):
        assert each.shape == (2, 24, -(-96 // stride), -(-160 // stride))
    names = {name for name in pyramid.state_dict() if name.startswith("fpn.")}
    assert names == {
        f"fpn.{part}.{kind}"
        for part in (
            *(f"{block}.{n}.0" for block in ("inner_blocks", "layer_blocks") for n in range(3)),
            "extra_blocks.p6",
            "extra_blocks.p7",
        )
        for kind in ("weight", "bias")
    }
    into_p6 = pyramid.fpn.extra_blocks.p6.in_channels
    assert into_p6 == (24 if source == "P5" else pyramid.body.channels[-1])


def test_p6_and_p7() -> None:
    last = LastLevelP6P7(4, 4, "P5")
    p5, c5 = torch.randn(1, 4, 5, 5), torch.randn(1, 4, 5, 5)
    p6, p7 = last([p5], [c5])
    torch.testing.assert_close(p6, last.p6(p5))
    torch.testing.assert_close(p7, last.p7(p6.clamp(min=0)))
    last.source = "C5"
    torch.testing.assert_close(last([p5], [c5])[0], last.p6(c5))
    with pytest.raises(ValueError, match='source must be "P5" or "C5"'):
        inspect.unwrap(LastLevelP6P7.__init__)(nn.Module.__new__(LastLevelP6P7), 4, 4, "C4")


def test_pyramid_is_lateral_sum_smooth() -> None:
    fpn = FeaturePyramidNetwork([3, 5, 7], 4)
    maps = [torch.randn(1, c, 8 >> k, 8 >> k) for k, c in enumerate((3, 5, 7))]
    laterals = [
        torch.einsum("oc,bchw->bohw", inner[0].weight[:, :, 0, 0], x) + inner[0].bias[:, None, None]
        for inner, x in zip(fpn.inner_blocks, maps, strict=True)
    ]
    for actual, total, layer in zip(fpn(maps), by_hand(laterals), fpn.layer_blocks, strict=True):
        torch.testing.assert_close(actual, layer(total), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="maps must be 3, one a level, got 2"):
        fpn(maps[:2])


def test_pyramid_with_norm_and_levels_from_p2() -> None:
    pyramid = BackboneWithFPN(create_backbone("tiny", "group"), 16, lowest=2, norm="group")
    maps = pyramid(torch.rand(1, 3, 64, 64))
    assert pyramid.strides == [4, 8, 16, 32]
    assert [each.shape[-1] for each in maps] == [16, 8, 4, 2]
    assert pyramid.fpn.inner_blocks[0][0].bias is None
    assert pyramid.fpn.inner_blocks[0][1].num_groups == 16


def test_the_gradient_reaches_everything() -> None:
    pyramid = BackboneWithFPN(create_backbone("tiny"), 16, extra="P5")
    torch.stack(
        [each.square().mean() for each in pyramid(torch.rand(2, 3, 64, 64))]
    ).sum().backward()
    for name, parameter in pyramid.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
