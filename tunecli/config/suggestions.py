"""Suggestions for a mistyped name, or for the name that another library uses."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_LONGEST = 100  # nothing known is near that; comparing takes the product of the lengths


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The hint "did you mean `lr`?", or empty where nothing known is near enough; ``cutoff`` 1 is the same letters."""
    if len(word) > _LONGEST:
        return ""
    names = [name for name in known if name != word]  # what was refused is no suggestion
    begun = [name for name in names if len(word) > 2 and name.startswith(word)]
    spelt = [name for name in names if name.lower() == word.lower()]
    matches = spelt or begun or difflib.get_close_matches(word, names, n=1, cutoff=cutoff)
    return f"did you mean `{matches[0]}`?" if matches else ""


_ALIASES: dict[str, str] = {
    # learning-rate schedules of torch, Keras, transformers
    "cosineannealing": "cosine",
    "cosinedecay": "cosine",
    "cosineannealingwarmrestarts": "cosine_restarts",
    "cosinewithrestarts": "cosine_restarts",
    "stepdecay": "step",
    "multistep": "multistep",
    "piecewiseconstant": "multistep",
    "exponentialdecay": "exponential",
    "onecycle": "one_cycle",
    "polynomialdecay": "polynomial",
    "linearwarmup": "warmup",
    "linearwithwarmup": "warmup",
    "inversesquareroot": "inverse_sqrt",
    "noam": "inverse_sqrt",
    "wsd": "warmup_stable_decay",
    "reduceonplateau": "cut",
    # losses
    "nll": "cross_entropy",
    "ce": "cross_entropy",
    "xent": "cross_entropy",
    "categoricalcrossentropy": "cross_entropy",
    "sparsecategoricalcrossentropy": "cross_entropy",
    "softmaxcrossentropy": "cross_entropy",
    "bcewithlogits": "bce",
    "binarycrossentropy": "bce",
    "multimargin": "hinge",
    "kldiv": "kl",
    "meansquarederror": "mse",
    "l2": "mse",
    "l1": "mae",
    "meanabsoluteerror": "mae",
    "pinball": "quantile",
    "poissonnll": "poisson",
    # optimizers and models
    "gradientdescent": "gd",
    "momentum": "sgd",
    "mlpclassifier": "mlp",
    "mlpregressor": "mlp",
    "dense": "mlp",
    "convnet": "cnn",
    "swish": "silu",
    "none": "identity",
    # samplers and pruners
    "bayesian": "bayes",
    "bayesopt": "bayes",
    "bayesianoptimization": "bayes",
    "gp": "bayes",
    "gpei": "bayes",
    "skopt": "bayes",
    "bo": "bayes",
    "gridsearch": "grid",
    "randomsearch": "random",
    "uniform": "random",
    "sobol": "quasirandom",
    "qmc": "quasirandom",
    "halton": "quasirandom",
    "optuna": "tpe",
    "hyperopt": "tpe",
    "cma": "cmaes",
    "successivehalving": "halving",
    "sha": "halving",
    "medianstopping": "median",
    "medianstop": "median",
    "hb": "hyperband",
    "bohb": "hyperband",
    "asynchyperband": "asha",
    # links
    "prune": "cut",
    "pruning": "cut",
    # devices and numbers
    "gpu": "cuda",
    "nvidia": "cuda",
    "metal": "mps",
    "apple": "mps",
    "float16": "fp16",
    "half": "fp16",
    "bfloat16": "bf16",
    "fp32": "float32",
    "16": "fp16",
    "32": "float32",
    "16mixed": "fp16",
    "bf16mixed": "bf16",
    "on": "auto",
    "yes": "auto",
    "never": "off",
    "float": "float32",
    # data
    "standardize": "standard",
    "zscore": "standard",
    "balanced": "weight",
    "stratified": "auto",
}


_AFTER = re.compile(r"(loss|lr|optimizer|sampler|pruner|scheduler|search|classifier|regressor)$")


def plain_name(word: str) -> str:
    """A name without its module, its `_` and its capitals."""
    return re.sub(r"[^a-z0-9]", "", word.rpartition(".")[2].lower())


def alias(word: str) -> str:
    """Our name for another library's; empty where it is known as none."""
    if len(word) > 100:
        return ""
    bare = plain_name(word)
    return _ALIASES.get(bare) or _ALIASES.get(_AFTER.sub("", bare), "")


def meant(word: str, options: Iterable[str]) -> str:
    """The one of ``options`` that ``word`` is, spelled another way or called otherwise elsewhere; else empty."""
    if len(word) > 100:
        return ""
    bare = plain_name(word)
    bares = (bare, _AFTER.sub("", bare))
    known = list(options)
    for each in known:
        if each != word and plain_name(each) in bares:
            return each
    ours = alias(word)
    return ours if ours in known and ours != word else ""
