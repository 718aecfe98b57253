"""Every built-in pruner keeps the contract of its kind."""

from __future__ import annotations

from tunecli.registry.pruners import PRUNERS
from tunecli.testing import PausingPrunerContract, StoppingPrunerContract

for _name, _info in PRUNERS.items():
    _contract = PausingPrunerContract if _info.pauses_trials else StoppingPrunerContract
    globals()[f"Test{_name.title()}"] = type(f"Test{_name.title()}", (_contract,), {"pruner": _info})
