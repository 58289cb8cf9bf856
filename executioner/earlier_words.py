"""What the words of the earlier Executioner's command line are called today, for the hints about unknown ones."""
from typing import Dict

__all__ = ["NOW"]

#: By the earlier option: what does the same now.
NOW: Dict[str, str] = {
    "-c": "executioner run FILE",
    "--config": "executioner run FILE",
    "--sample-config": "executioner sample",
    "--list-runs": "executioner runs [APPLICATION]",
    "--show-run": "executioner show RUN",
    "--mark-success": "executioner mark-success RUN JOB... --because TEXT",
    "--resume-from": "executioner run FILE --resume RUN",
    "--resume-failed-only": "executioner run FILE --resume RUN --failed-only",
    "--visible": "executioner plan FILE; a job's own variables are those that env prints in it",
}
