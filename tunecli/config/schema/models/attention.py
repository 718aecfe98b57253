"""The networks of attention over tokens."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import model_validator

from tunecli.config.schema.activations import GELU, Activation
from tunecli.config.schema.initialisations import DEFAULT, Initialisation
from tunecli.config.schema.models.base import Dropout, ModelKnob, part_of
from tunecli.knob import Count, Positive, Values


def require_heads(n_heads: int, width: int) -> None:
    """Make sure that the heads divide the tokens.

    Raises:
        ValueError: they do not.
    """
    if width % n_heads:
        raise ValueError(f"`heads` must divide `width`: {width} is not a multiple of {n_heads}")


class Transformer(ModelKnob):
    """A transformer encoder (Vaswani et al. 2017) with the norms first (Xiong et al. 2020).

    It reads the steps of a sequence, tokens, squares of an image, or features, each through its own affine map
    (Gorishniy et al. 2021).

    Attributes:
        width: size of the token vectors; `heads` must divide it.
        layers: number of layers.
        heads: attention heads per layer.
        feedforward: width of the inner layers, as a multiple of `width`.
        positions: position embedding; features need none.
        patch: side of the squares that an image is cut into, in pixels.
        pool: what feeds the last layer: the mean over all tokens, or a token of its own (`cls`).
    """

    implementation: ClassVar[str] = "tunecli.train.models.transformer:transformer"
    size_function: ClassVar[str] = "tunecli.train.model_sizes:transformer_size"
    reads_codes: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, ...]] = ("features", "sequence", "image", "tokens", "mixed")
    name: Literal["transformer"] = "transformer"
    width: Count = 64
    layers: Count = 2
    heads: Count = 4
    feedforward: Count = 2
    positions: Annotated[
        Literal["learned", "sinusoidal", "none"],
        Values(
            {
                "learned": "A learned vector for each position.",
                "sinusoidal": "Fixed sines and cosines (Vaswani et al. 2017).",
                "none": "No positions.",
            }
        ),
    ] = "learned"
    patch: Count = 4
    pool: Annotated[
        Literal["mean", "cls"],
        Values(
            {
                "mean": "The mean over all tokens.",
                "cls": "A token of its own.",
            }
        ),
    ] = "mean"
    activation: Activation = GELU
    dropout: Dropout = 0.0
    init: Initialisation = DEFAULT

    @property
    def text_width(self) -> int:
        """Number of values that stand for a text beside columns."""
        return self.width

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Transformer:
        require_heads(self.heads, self.width)
        return self


class FtTransformer(ModelKnob):
    """The FT-Transformer of Gorishniy et al. 2021, section 3.3: a transformer whose tokens are the columns of a table.

    Each number has its own affine map to a token, and each category its own vector. The blocks have their norms first,
    except the first attention, which has none; the inner layers are ReGLU, and the last layer reads a token of its own.
    The defaults are those of the paper, which trains it with adamw at a rate of 1e-4, a decay of 1e-5 and
    `decay_exclude: [bias, norm, embedding]`.

    Attributes:
        width: size of the token vectors; `heads` must divide it.
        layers: number of layers.
        heads: attention heads per layer.
        feedforward: width of the inner layers, as a multiple of `width`, rounded down.
        attention_dropout: dropout probability of the attention's weights.
        dropout: dropout probability in the inner layers.
        residual_dropout: dropout probability at the end of each attention and each inner layer.
    """

    implementation: ClassVar[str] = "tunecli.train.models.tabular:ft_transformer"
    size_function: ClassVar[str] = "tunecli.train.model_sizes:ft_transformer_size"
    weight_shapes: ClassVar[str] = "tunecli.train.weight_shapes:ft_transformer"
    reads_codes: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, ...]] = ("features",)
    name: Literal["ft_transformer"] = "ft_transformer"
    width: Count = 192
    layers: Count = 3
    heads: Count = 8
    feedforward: Positive = 4 / 3
    attention_dropout: Dropout = 0.2
    dropout: Dropout = 0.1
    residual_dropout: Dropout = 0.0
    init: Initialisation = DEFAULT

    @property
    def inner_width(self) -> int:
        """Width of the inner layers."""
        return part_of(self.feedforward, self.width)

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> FtTransformer:
        require_heads(self.heads, self.width)
        return self
