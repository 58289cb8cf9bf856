"""How attempts are run: as processes of this machine (``local``), or not at all (``simulated``)."""
