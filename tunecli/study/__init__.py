"""How a sweep is run. `sweep` is its loop; the packages hold its parts.

Imports point down: `answers` → `sweep` | `questions` → `runner` → `record` → `plan`.
"""
