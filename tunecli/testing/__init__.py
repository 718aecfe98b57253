"""Contract tests for samplers, pruners and engines: the behaviour that the rest of the program relies on.

The author of a plug-in subclasses one in a test module that pytest collects. The built-in implementations run through
the same tests::

    from tunecli.testing import SamplerContract
    from my_package import INFO

    class TestMySampler(SamplerContract):
        sampler = INFO

This is the only package of tunecli that needs pytest.
"""

from tunecli.testing.engines import EngineContract
from tunecli.testing.pruners import PausingPrunerContract, StoppingPrunerContract
from tunecli.testing.samplers import SamplerContract

__all__ = ["EngineContract", "PausingPrunerContract", "SamplerContract", "StoppingPrunerContract"]
