"""Suggestions for a mistyped name, or for the name that another library uses."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_LONGEST = 100  # longer than every known name; comparing takes time with the product of the lengths
_NAMES_ELSEWHERE: dict[str, str] = {
    "cosine": "cosineannealing cosinedecay",
    "cosine_restarts": "cosineannealingwarmrestarts cosinewithrestarts",
    "step": "stepdecay",
    "multistep": "multistep piecewiseconstant",
    "exponential": "exponentialdecay",
    "one_cycle": "onecycle",
    "polynomial": "polynomialdecay",
    "warmup": "linearwarmup linearwithwarmup",
    "inverse_sqrt": "inversesquareroot noam",
    "warmup_stable_decay": "wsd",
    "cut": "reduceonplateau prune pruning",
    "cross_entropy": "nll ce xent categoricalcrossentropy sparsecategoricalcrossentropy softmaxcrossentropy",
    "bce": "bcewithlogits binarycrossentropy",
    "hinge": "multimargin",
    "kl": "kldiv",
    "mse": "meansquarederror l2",
    "mae": "l1 meanabsoluteerror",
    "quantile": "pinball",
    "poisson": "poissonnll",
    "gd": "gradientdescent",
    "sgd": "momentum",
    "mlp": "mlpclassifier mlpregressor dense",
    "cnn": "convnet",
    "silu": "swish",
    "identity": "none",
    "bayes": "bayesian bayesopt bayesianoptimization gp gpei skopt bo",
    "grid": "gridsearch",
    "random": "randomsearch uniform",
    "quasirandom": "sobol qmc halton",
    "tpe": "optuna hyperopt",
    "cmaes": "cma",
    "gp": "gaussianprocess",
    "extra_trees": "et extratrees",
    "random_forest": "rf forest randomforest",
    "halving": "successivehalving sha",
    "median": "medianstopping medianstop",
    "hyperband": "hb bohb",
    "asha": "asynchyperband",
    "cuda": "gpu nvidia",
    "mps": "metal apple",
    "fp16": "float16 half 16 16mixed",
    "bf16": "bfloat16 bf16mixed",
    "float32": "fp32 32 float",
    "auto": "on yes stratified",
    "off": "never",
    "standard": "standardize zscore",
    "weight": "balanced",
}
"""By our name of an optimizer, loss, schedule, sampler, pruner, device …: its names in other libraries, without `_`."""
_ALIASES = {theirs: ours for ours, names in _NAMES_ELSEWHERE.items() for theirs in names.split()}
_AFTER = re.compile(r"(loss|lr|optimizer|sampler|pruner|scheduler|search|classifier|regressor)$")

_KEYS_ELSEWHERE: dict[str, str] = {
    "trial.optimizer.lr": "learningrate baselr initiallr lrinit eta stepsize",
    "trial.training.epochs": "numepochs nepochs maxepochs numtrainepochs epoch",
    "trial.training.steps": "maxsteps numsteps nsteps iterations",
    "trial.training.batch_size": "batch bs batchsize perdevicetrainbatchsize",
    "trial.training.grad_clip": "gradientclip gradientclipval gradientclipping clipgradnorm clipnorm maxgradnorm",
    "trial.training.accumulate": "accumulategradbatches gradientaccumulationsteps",
    "trial.training.early_stop": "earlystopping earlystoppingrounds",
    "trial.optimizer.weight_decay": "wd l2 decay",
    "trial.data.source": "dataset traindata datadir datapath train",
    "trial.data.target": "label labels targetcolumn outputfeatures",
    "trial.data.validation": "valsplit validationsplit testsize valfraction",
    "trial.loss": "criterion lossfn lossfunction",
    "trial.model": "network net architecture arch",
    "trial.model.hidden": "layers hiddenlayers hiddensizes units hiddenlayersizes",
    "trial.learning_rate": "scheduler lrscheduler lrschedule schedule",
    "trial.training.precision": "amp mixedprecision fp16 bf16",
    "trial.data.balance": "classweights classweight",
    "search.trials": "ntrials numtrials maxtrials numsamples niter ncalls maxtrialnumber runcap maxtrialcount "
    "count maxevals numrandomtrials",
    "search.repeats": "nseeds seeds numrepeats nrepeats",
    "search.sampler": "method algorithm algo searchalg tuner strategy searcher",
    "search.pruner": "earlyterminate assessor stoppingcriteria",
    "run.workers": "njobs numworkers parallel parallelism trialconcurrency maxconcurrenttrials nworkers",
    "run.limit.time": "timeout timelimit maxtime timebudget maxexperimentduration",
    "run.device": "gpu gpus cuda accelerator resources",
    "objective.direction": "goal mode optimizemode",
    "objective.metric": "metricname monitor objectivemetricname evalmetric",
    "trial": "parameters searchspace space paramspace hyperparameters config hyperopt",
    "search": "sweep tune tuning optimization",
    "objective.threshold": "threshold decisionthreshold",
    "search.refit": "refit",
    "trial.data.columns.group": "group groups groupcolumn groupby",
    "trial.data.columns.weight": "sampleweight sampleweights weightcolumn",
    "trial.data.columns.time": "timecolumn datecolumn",
    "trial.data.columns.drop": "dropcolumns ignorecolumns exclude",
    "objective.subject_to": "constraints constraint bounds",
    "trial.model.norm": "batchnorm layernorm normalization",
    "trial.command": "program trialcommand entrypoint script cmd",
    "trial.python": "function fn callable trainable",
    "study": "project experiment experimentname studyname title",
    "seed": "randomseed randomstate seedeverything",
}
"""By a path of the file: the names of that key in other tools, without `_` and capitals."""
LINK_KEYS_ELSEWHERE = {
    **dict.fromkeys(("size", "stepsize", "period", "t0", "steps", "warmupsteps", "numwarmupsteps"), "epochs"),
    **dict.fromkeys(("warmupepochs", "numepochs", "interval"), "epochs"),
    **dict.fromkeys(("milestones", "boundaries"), "at"),
    **dict.fromkeys(("decay", "rate", "decayrate"), "gamma"),
    **dict.fromkeys(("etamin", "minlr", "endlr", "finallr", "end", "final", "endfactor", "alpha"), "to min"),
    **dict.fromkeys(("warmupratio", "pctstart"), "warmup_fraction"),
    **dict.fromkeys(("anneal", "annealstrategy", "decaytype"), "shape"),
    **dict.fromkeys(("maxlr",), "max"),
    **dict.fromkeys(("tmult", "mult"), "factor"),
    **dict.fromkeys(("startfactor", "initlr"), "start"),
    **dict.fromkeys(("maxnorm", "clipnorm", "norms"), "norm"),
    **dict.fromkeys(("clipvalue", "maxvalue"), "value"),
    **dict.fromkeys(("amount", "sparsity", "finalsparsity", "ratio", "percent"), "fraction"),
    **dict.fromkeys(("method", "criterion", "strategy"), "by"),
    **dict.fromkeys(("scope",), "per"),
    **dict.fromkeys(("sigma", "deviation", "stddev", "scale"), "std"),
    **dict.fromkeys(("prob", "probability"), "p"),
    **dict.fromkeys(("padding", "pad"), "pixels"),
}
"""By another library's name of a link's argument: our names, the first of which that the link has is meant."""
PATH_BY_NAME = {name: path for path, names in _KEYS_ELSEWHERE.items() for name in names.split()}


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The hint "did you mean `lr`?", or empty if no known name is similar; with ``cutoff`` 1 only case may differ."""
    if len(word) > _LONGEST:
        return ""
    names = [name for name in known if name != word]  # not the refused name itself
    begun = [name for name in names if len(word) > 2 and name.startswith(word)]
    spelt = [name for name in names if name.lower() == word.lower()]
    matches = spelt or begun or difflib.get_close_matches(word, names, n=1, cutoff=cutoff)
    return f"did you mean `{matches[0]}`?" if matches else ""


def nearest_metric(word: str, known: Iterable[str]) -> str:
    """The hint "did you mean `eval/accuracy`?" for the metric ``accuracy``; empty if no known name is similar.

    Programs put the part of the data and separators before a metric's name. Names of training metrics are the last
    choice.
    """
    names = sorted(known, key=lambda name: "train" in name.lower())
    word_parts = _parts(word)
    same = [name for name in names if _parts(name) == word_parts]
    ended = [name for name in names if _parts(name)[-len(word_parts) :] == word_parts]
    shorter = [name for name in names if word_parts[-len(_parts(name)) :] == _parts(name)]
    matches = [name for name in (*same, *ended, *shorter) if name != word]
    return f"did you mean `{matches[0]}`?" if matches else nearest(word, names)


def _parts(name: str) -> list[str]:
    return [part for part in re.split(r"[^a-z0-9]+", name[:_LONGEST].lower()) if part] or [name]


def plain_name(word: str) -> str:
    """A name without its module, its `_` and its capitals."""
    return re.sub(r"[^a-z0-9]", "", word.rpartition(".")[2].lower())


def alias(word: str) -> str:
    """Our name for another library's; empty if it is unknown."""
    if len(word) > 100:
        return ""
    bare = plain_name(word)
    return _ALIASES.get(bare) or _ALIASES.get(_AFTER.sub("", bare), "")


def meant(word: str, options: Iterable[str]) -> str:
    """The one of ``options`` that ``word`` means, in another spelling or another library's name; else empty."""
    if len(word) > 100:
        return ""
    bare = plain_name(word)
    bares = (bare, _AFTER.sub("", bare))
    known = list(options)
    for option in known:
        if option != word and plain_name(option) in bares:
            return option
    ours = alias(word)
    return ours if ours in known and ours != word else ""
