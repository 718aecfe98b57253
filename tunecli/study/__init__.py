"""How is a sweep run? `sweep.sweep` is the loop; the packages hold its parts.

- `plan`: settings that are fixed when a study begins: total, workers, lookahead, fusing.
- `record`: a study in its folder: begin, resume, change, fork, publish; and the history that samplers see.
- `runner`: the coordinator, the job queue, jobs, pauses, limits, the record writer, signals.
- `prefork`: starts the workers' server while the command is still reading its file.

Imports point down: `sweep` → `runner` → `record` → `plan`.
"""
