"""The commands of ``executioner db``, one module each; ``executioner/commands/db.py`` lists them."""
