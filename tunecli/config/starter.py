"""The file that `tunecli init` writes: a small real sweep, commented for someone who sees one for the first time."""

STARTER = """\
# yaml-language-server: $schema=tunecli.schema.json
# A study: `tunecli check FILE` says what it would do, `tunecli search FILE` does it.
study: first-study
seed: 7
objective: {metric: val_accuracy, direction: maximize}

trial:                       # one training run; any leaf may hold a range instead of a value
  data:
    source: digits           # a registry name, or your own file: {source: mine.csv, target: price}
    validation: {fraction: 0.2}
  model:
    name: mlp
    hidden: {list: {of: {logint: [16, 128]}, length: {int: [1, 3]}}}
    activation: {choice: [relu, gelu, tanh]}
    dropout: {uniform: [0.0, 0.4]}
  optimizer:
    choice:                  # each option brings its own parameters
      - {name: adamw, lr: {loguniform: [1e-4, 1e-1], default: 1e-3}, weight_decay: {loguniform: [1e-6, 1e-1]}}
      - {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: {uniform: [0.0, 0.99]}}
  training: {epochs: 15, batch_size: {choice: [32, 64, 128]}}

search: {sampler: bayes, trials: 20}
run: {device: auto, workers: auto}
"""
