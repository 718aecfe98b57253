"""What do the two chains do, and when? Links applied in order to the learning rate, and to the weights after a step."""
