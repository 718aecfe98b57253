"""What is one trial? Data, models, losses, optimizers, the learning-rate chain, metrics, devices, the loop."""
