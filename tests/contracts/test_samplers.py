"""Every built-in sampler keeps the contract."""

from __future__ import annotations

from tunecli.registry.samplers import SAMPLERS
from tunecli.testing import SamplerContract

for _name, _info in SAMPLERS.items():
    globals()[f"Test{_name.title()}"] = type(f"Test{_name.title()}", (SamplerContract,), {"sampler": _info})
