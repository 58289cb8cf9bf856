"""Checks before and after a job: what there is, and what runs them."""
