"""The verbs, one module each: what a verb computes, as a frozen value, and its view for the console."""
