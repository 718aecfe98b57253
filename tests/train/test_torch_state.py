"""A scoped seed seeds its block and leaves no trace."""

from __future__ import annotations

import pytest
import torch

from tunecli.train.torch_state import cpu_generator, scoped_seed

CPU = torch.device("cpu")


def test_a_scoped_seed_seeds_its_block_and_restores_the_state() -> None:
    before = torch.get_rng_state()
    with scoped_seed(3, CPU):
        first = torch.rand(5)
    with scoped_seed(3, CPU):
        assert torch.equal(torch.rand(5), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(torch.rand(5, generator=cpu_generator(3)), first)


def test_the_state_is_restored_after_an_error() -> None:
    before = torch.get_rng_state()
    with pytest.raises(KeyError), scoped_seed(3, CPU):
        torch.rand(5)
        raise KeyError
    assert torch.equal(torch.get_rng_state(), before)
