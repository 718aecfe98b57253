"""The pruners: `median` ends trials early; `successive_halving` and `freeze_thaw` pause and continue them."""
