"""The verbs' doing: flags in, frozen values out. `sweep` is the loop; the rest opens, asks and checks."""
