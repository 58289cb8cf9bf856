"""From a job to one attempt of it: its name, its files, its variables, and what other jobs told it."""
import copy
import os
import re
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from jobs.checks.result import CheckContext
from jobs.events import AttemptIntended
from jobs.models import Check, Job, Pipeline
from jobs.outputs import make_outputs_file, read_outputs, told_by
from jobs.placeholders import expand_command, expand_text, placeholders, texts_of
from jobs.ports import AttemptStart
from jobs.run_context import RunContext, attempt_token, attempt_variables, run_environment

__all__ = ["AttemptMaker", "file_stem"]

_PLAIN_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}\Z")
_STEM_MOST = 150


def file_stem(job_id: str) -> str:
    """A job's id as part of a file name. Ids of files are safe as they are; made ones (``id[item]``) are encoded."""
    if _PLAIN_ID.match(job_id):
        return job_id
    data = job_id.encode("utf-8", "surrogateescape")
    stem = re.sub(rb"[^A-Za-z0-9_.:\[\],=-]", lambda match: b"%%%02X" % match.group()[0], data).decode("ascii")
    if len(stem) <= _STEM_MOST:
        return stem
    from jobs.digests import sha256_hex
    return "%s~%s" % (stem[:_STEM_MOST], sha256_hex(data)[:16])


class AttemptMaker:
    """Makes the attempts of one run.

    :param outputs: what jobs told in runs that this one resumes, by job id
    """

    def __init__(self, pipeline: Pipeline, run: RunContext,
                 outputs: Optional[Mapping[str, Dict[str, str]]] = None) -> None:
        self._pipeline = pipeline
        self._run = run
        self._outputs: Dict[str, Dict[str, str]] = dict(outputs or {})

    def token(self, position: int, attempt: int) -> str:
        """The attempt's name."""
        return attempt_token(self._run, position, attempt)

    def intent(self, position: int, attempt: int, at: float, ready_at: float) -> AttemptIntended:
        """That the attempt is about to be handed over."""
        return AttemptIntended(position, self._pipeline.jobs[position].id, attempt, self.token(position, attempt),
                               self._path(position, attempt, "out"), self._path(position, attempt, "err"), at,
                               ready_at)

    def start(self, position: int, attempt: int, limit_s: float, limit_reason: str) -> AttemptStart:
        """What the executor gets.

        :param limit_s: seconds that the attempt may take
        :param limit_reason: what it is stopped for then (a ``StopReason``)
        """
        job = self._pipeline.jobs[position]
        environment = dict(job.environment)
        if self._outputs:
            job = self._told(job, environment)
        outputs_path = self._path(position, attempt, "outputs")
        if job.outputs and job.run_as is None:  # for another user the keeper makes it, and hands it over open
            make_outputs_file(outputs_path)
        environment.update(attempt_variables(job.id, attempt, outputs_path))
        return AttemptStart(self.token(position, attempt), job, attempt, environment,
                            self._name(position, attempt, "out"), self._name(position, attempt, "err"),
                            limit_s, limit_reason, not (job.has_afterwards or job.outputs))

    def untold(self, position: int) -> Optional[Tuple[str, str, str]]:
        """The first place of a job with a reference to what another job did not tell.

        :returns: the key in which it stands, the reference, and the id of that job; None where all is told
        """
        job = self._pipeline.jobs[position]
        for key, value in (("command", job.command), ("env_variables", job.environment),
                           ("working_dir", job.working_dir), ("stdin", job.stdin_path), ("stdin", job.stdin_text),
                           ("inputs", job.inputs), ("products", job.products),
                           ("pre_checks", [check.params for check in job.pre_checks]),
                           ("post_checks", [check.params for check in job.post_checks])):
            # Most values are empty: those are passed over at once.
            for text in texts_of(value) if value else ():
                for name in placeholders(text):
                    teller, output = told_by(name)
                    if output and self._lookup(name) is None:
                        return key, "${%s}" % name, teller
        return None

    def questions(self, position: int, attempt: int, checks: Sequence[Check],
                  is_after: bool) -> Tuple[List[Check], CheckContext]:
        """Checks as they are to be asked, and where: in the job's folder, with all variables of the attempt.

        :param is_after: whether the attempt has ended, and its output is there
        """
        job = self._pipeline.jobs[position]
        environment = run_environment(self._pipeline, self._run)
        environment.update(job.environment)
        if self._outputs:
            for name in job.environment:
                environment[name] = expand_text(environment[name], self._lookup)
        environment.update(attempt_variables(job.id, attempt, self._path(position, attempt, "outputs")))
        context = CheckContext(self._working_dir(job), environment)
        if is_after:
            context.stdout_path = self._path(position, attempt, "out")
            context.stderr_path = self._path(position, attempt, "err")
        from jobs.checks.asking import checks_of_attempt
        return checks_of_attempt(checks, context, self._lookup), context

    def _working_dir(self, job: Job) -> str:
        """The folder of a job, with what others told put in its place."""
        return os.path.join(self._pipeline.working_dir, expand_text(job.working_dir, self._lookup))

    def read_outputs(self, position: int, attempt: int) -> Dict[str, str]:
        """What the attempt told, and tell it on.

        :raises JobExecutionError: where it did not tell what it is to
        """
        job = self._pipeline.jobs[position]
        outputs = read_outputs(self._path(position, attempt, "outputs"), job.outputs)
        self._outputs[job.id] = outputs
        return outputs

    def _told(self, job: Job, environment: Dict[str, str]) -> Job:
        """The job with what others told put in its place; ``environment`` gets the variables that this needs."""
        command, variables = expand_command(job.command, self._lookup, "EXECUTIONER_TOLD_")
        for name, value in environment.items():
            environment[name] = expand_text(value, self._lookup)
        environment.update(variables)
        told = copy.copy(job)
        told.command = command
        told.working_dir = self._working_dir(job)
        if job.stdin_path:
            told.stdin_path = os.path.join(told.working_dir, expand_text(job.stdin_path, self._lookup))
        if job.stdin_text is not None:
            told.stdin_text = expand_text(job.stdin_text, self._lookup)
        return told

    def _lookup(self, name: str) -> Optional[str]:
        """What a placeholder stands for, where it is about what a job told, and that is known."""
        job_id, output = told_by(name)
        return self._outputs.get(job_id, {}).get(output)

    def _name(self, position: int, attempt: int, ending: str) -> str:
        # The attempt's number keeps "a" and "a.1" apart.
        return "%s.%d.%s" % (file_stem(self._pipeline.jobs[position].id), attempt, ending)

    def _path(self, position: int, attempt: int, ending: str) -> str:
        return os.path.join(self._run.output_dir, self._name(position, attempt, ending))
