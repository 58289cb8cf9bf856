"""The keeper: the small process that starts, times, stops and reaps the jobs of a run.

Everything here but ``launch`` also runs inside the keeper, which is started with ``-I -S`` and has to be up in
milliseconds. So these modules import neither ``typing`` nor ``signal`` nor ``subprocess`` at run time; their
annotations are text.
"""
