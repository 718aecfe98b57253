"""What the knobs of a trial share beyond `Knob`: the timing of a chain's links, and the user's own code."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from tunecli.knob import Count, Knob

_DOTTED = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"
CODE_NAME = rf"^{_DOTTED}:{_DOTTED}$"
CodeName = Annotated[str, Field(pattern=CODE_NAME)]


class Timed(Knob):
    """Base of both chains' links: when one acts. It does so while ``from_epoch`` <= epochs done < ``until_epoch``.

    ``every`` says how often: at each step, or once an epoch (a rate is set as it begins, weights changed as it ends);
    None is the link's own nature.
    """

    every: Literal["step", "epoch"] | None = None
    from_epoch: Annotated[int, Field(ge=0)] = 0
    until_epoch: Count | None = None

    @model_validator(mode="after")
    def _window_in_order(self) -> Self:
        if self.until_epoch is not None and self.until_epoch <= self.from_epoch:
            raise ValueError(f"until_epoch {self.until_epoch} is not after from_epoch {self.from_epoch}")
        return self


class UserCode(Knob):
    """The user's own: ``python: module:name``, the module beside the file; ``args`` go to it by name."""

    name: Literal["python"] = "python"
    python: CodeName
    args: dict[str, Any] = {}
