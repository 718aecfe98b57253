"""What other tools read of a study: TensorBoard's event files, MLflow's runs, Optuna's storage."""
