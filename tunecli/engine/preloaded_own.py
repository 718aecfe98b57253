"""What trials load that are wholly the user's own, for the server that workers are forked from. Loads no torch."""

from __future__ import annotations

from tunecli.engine.collecting import out_of_sight

with out_of_sight():
    import tunecli.engine.worker
    import tunecli.train.user_code.command
    import tunecli.train.user_code.function  # noqa: F401  # all three are loaded for the workers that are forked
    from tunecli.config.schema import CommandTrial, FunctionTrial
    from tunecli.train.user_code.code import note_loaded

    for model in (FunctionTrial, CommandTrial):
        model.model_rebuild()  # which each worker would do by itself
    note_loaded()
