"""The base of the models' settings, and the types of values that several models share.

``kinds`` says which inputs a model takes: plain features (F), a sequence (T, F), an image (C, H, W), tokens (T), or
mixed rows of columns and tokens (F + T).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from tunecli.knob import Auto, Count, NamedKnob

Dropout = Annotated[float, Field(ge=0, lt=1)]
Pixels = Annotated[int, Field(ge=1, le=15)]
Channels = Annotated[list[Count], Field(min_length=1)]
EmbeddingSize = Auto | Count

_ROUNDING = 1e-9  # 0.29 times 100 is 28.999999999999996


def part_of(factor: float, width: int) -> int:
    """A multiple of a width, rounded down to at least 1."""
    return max(1, int(factor * width + _ROUNDING))


class ModelKnob(NamedKnob):
    """Base of the models.

    Attributes:
        implementation: a function of (knob, inputs, number of outputs) that returns a `torch.nn.Module` from
            (B, *inputs.shape) to (B, number of outputs).
        kinds: the inputs that the model takes.
        size_function: ``module:attribute`` of a function of (knob, inputs, number of outputs) that returns its
            `tunecli.train.model_sizes.Size`; empty: its cost is unknown.
        weight_shapes: ``module:attribute`` of a function of the same that returns the shapes of its tensors of two
            dimensions or more, without biases, in order; empty: they are unknown.
        has_convolutions: whether it has convolutions.
        reads_codes: whether it reads the codes of categories; a model that does not gets the embeddings that
            `tunecli.train.models.build` puts in front of it.
        averages_tokens: whether a text reaches it as the mean of its tokens' vectors, which
            `tunecli.train.models.build` puts in front of it.
        why_not_fused: why several trials with it cannot be trained as one model; empty if they can.
        slowness: factor of the optimizer steps that the model needs, for a training without a length in the file.
        activation: activation after each layer.
        dropout: dropout probability after each layer.
        init: rule for the initial weights.
        embedding: size of the vector that each category becomes if `data.categories` is `embedding`, and that each
            token of a text becomes; `auto` takes half the number of categories or tokens, rounded up, and at most 50.
    """

    kinds: ClassVar[tuple[str, ...]]
    size_function: ClassVar[str] = ""
    weight_shapes: ClassVar[str] = ""
    has_convolutions: ClassVar[bool] = False
    reads_codes: ClassVar[bool] = False
    averages_tokens: ClassVar[bool] = False
    why_not_fused: ClassVar[str] = ""
    slowness: ClassVar[float] = 1.0

    @property
    def text_width(self) -> int:
        """Number of values that stand for a text beside columns; 0 if the model has no such layer."""
        return 0

    @property
    def has_batch_norm(self) -> bool:
        """Whether the model has batch norm, and so needs at least two examples in each batch."""
        return getattr(self, "norm", "none") == "batch"
