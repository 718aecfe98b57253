"""The verbs, one module each: a function that returns a frozen value, and a view of that value for the console."""
