"""What a job is, and how a graph of them runs. Knows no file format, no database and no HTTP."""
