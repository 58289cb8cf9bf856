"""Looking at runs from outside: metrics, health, notifications. Reads the history, changes no run."""
