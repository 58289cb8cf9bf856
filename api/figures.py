"""What the server tells about itself in the metrics; of this process only, since it started."""
from typing import List, Mapping

from monitoring.prometheus import Family, Sample, counter, gauge

__all__ = ["api_families"]


def api_families(answered: Mapping[int, int], started_at: float) -> List[Family]:
    """The figures of the server.

    :param answered: how many requests were answered, by status
    :param started_at: epoch seconds
    """
    requests = counter("executioner_api_requests_total", "Requests answered since the server started, by status.")
    for status, count in sorted(dict(answered).items()):
        requests.samples.append(Sample((("code", str(status)),), float(count)))
    started = gauge("executioner_api_start_timestamp_seconds", "When the server started.")
    started.samples.append(Sample((), started_at))
    return [requests, started]
