"""The two chains: links applied in order to the learning rate, and to the weights after a step."""
