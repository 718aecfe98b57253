"""The verbs' doing: flags in, frozen values out. `sweep` is the loop; each folder is the answer to one question.

Imports point down: `answers` → `sweep` | `questions` → `underway` → `record` → `plan`.
"""
