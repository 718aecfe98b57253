"""A training function of one's own, which own_function.yaml names."""

import torch


def train(params, trial):
    """Fit a wave; the noise and the first weights come from the generators that are seeded already."""
    x = torch.linspace(-1.0, 1.0, 256, device=trial.device).unsqueeze(1)
    y = torch.sin(6.0 * x) + 0.05 * torch.randn_like(x)
    width = params["hidden"]
    model = torch.nn.Sequential(torch.nn.Linear(1, width), torch.nn.Tanh(), torch.nn.Linear(width, 1))
    model.to(trial.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=params["optimizer"]["lr"])
    for epoch in range(1, params["epochs"] + 1):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x[::2]), y[::2])
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            trial.report(
                epoch, val_loss=torch.nn.functional.mse_loss(model(x[1::2]), y[1::2]), train_loss=loss
            )
