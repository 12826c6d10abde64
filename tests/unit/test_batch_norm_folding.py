"""Folding batch norms changes the speed, not the embeddings."""

import torch
from torch import nn

from petsearch.adapters.clip.batch_norm_folding import fold_batch_norms


def _with_statistics(module: nn.Module) -> nn.Module:
    """`module` in eval mode, its norms with statistics that are not the identity."""
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 2.0)
            nn.init.uniform_(part.bias, -1.0, 1.0)
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.uniform_(-1.0, 1.0)
            part.running_var.uniform_(0.5, 2.0)
    return module.eval().requires_grad_(requires_grad=False)


def _norms(module: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in module.modules())


class _Norm(nn.Module):
    """A norm that receives what no convolution made."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        normed: torch.Tensor = self.norm(self.conv(batch) * 2.0)
        return normed


def test_a_norm_after_a_convolution_goes_into_it() -> None:
    module = _with_statistics(
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1))
    )
    batch = torch.rand(2, 3, 9, 9)
    folded = fold_batch_norms(module, lambda copied: copied(batch))
    assert _norms(folded) == 0
    assert torch.allclose(folded(batch), module(batch), atol=1e-5)


def test_the_original_is_left_alone() -> None:
    module = _with_statistics(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)))
    batch = torch.rand(1, 3, 9, 9)
    before = module(batch)
    fold_batch_norms(module, lambda copied: copied(batch))
    assert _norms(module) == 1
    assert torch.equal(module(batch), before)


def test_a_norm_that_follows_something_else_stays() -> None:
    module = _with_statistics(_Norm())
    batch = torch.rand(1, 3, 9, 9)
    folded = fold_batch_norms(module, lambda copied: copied(batch))
    assert _norms(folded) == 1
    assert torch.equal(folded(batch), module(batch))


def test_timms_norms_keep_their_activation() -> None:
    from timm.layers.norm_act import BatchNormAct2d

    module = _with_statistics(nn.Sequential(nn.Conv2d(3, 8, 3), BatchNormAct2d(8)))
    batch = torch.rand(2, 3, 9, 9) - 0.5
    folded = fold_batch_norms(module, lambda copied: copied(batch))
    assert _norms(folded) == 0
    assert torch.allclose(folded(batch), module(batch), atol=1e-5)
    assert (folded(batch) == 0).any(), "the activation is gone"
