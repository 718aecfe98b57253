"""What does a person ask, beside a sweep? A module for each verb, by its name: what it finds, as a frozen value."""
