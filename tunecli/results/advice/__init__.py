"""Advice on a study: rules that read a report, each with its claim, the figures that show it, and a command."""

from tunecli.results.advice.rules import RULES, every_finding, findings

__all__ = ["RULES", "every_finding", "findings"]
