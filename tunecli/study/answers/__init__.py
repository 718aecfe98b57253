"""How is it told? A module for each verb, by its name: what was found, as an `Answer`."""
