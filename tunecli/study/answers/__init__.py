"""How is it told? Each finding as an `Answer`."""
