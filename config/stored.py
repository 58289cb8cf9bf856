"""A configuration that the history kept, made whole again: its secrets come from the current file and environment."""
import os
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from config.builder import build
from config.features import resolve_features
from config.known_secrets import secrets_of
from config.loader import Document, load, load_text
from config.pipeline import LoadResult, Overrides, has_inner_files
from config.problems import Path, Problem, Report, path_text
from config.validator import check_configuration
from jobs.masking import MASK, Masker

if TYPE_CHECKING:
    from config.inner import Family

__all__ = ["changes", "load_stored"]


def load_stored(text: str, path: str, environ: Mapping[str, str], overrides: Overrides,
                feature_settings: Sequence[str] = ()) -> LoadResult:
    """Build the pipeline of a kept configuration.

    :param text: what the history kept: secret values are replaced in it
    :param path: the current file, where they are looked for
    """
    document = load_text(text, path)
    problems: List[Problem] = list(document.problems)
    if MASK in text:
        missing = _restore(document, _current(document, path, overrides), environ, overrides)
        for file, place in (_of_a_file(document.value, path, place) for place in missing):
            problems.append(Problem(file, 0, 0, "E144", path_text(place), "error",
                                    "the secret value that was here is not in the file any more",
                                    "put it back, or take the file as it is with --with-current-config"))
    report = Report()
    value = document.value
    family: "Optional[Family]" = None
    if isinstance(value, dict) and has_inner_files(value):
        from config.inner import Family, kept_contents
        family = Family(path, overrides.insecure_config, kept_contents(value))
    features = resolve_features(value.get("features") if isinstance(value, dict) else None, environ, feature_settings,
                                report, problems)
    report.strict = features["strict_validation"]
    expansion = None
    if value is not None and not problems:
        expansion = check_configuration(value, os.path.dirname(os.path.abspath(path)), environ, overrides.env,
                                        report, overrides.params, overrides.inherited_params, family, True)
        problems += [Problem(path, 0, 0, finding.code, path_text(finding.path), finding.severity, finding.message,
                             finding.hint) for finding in report.findings]
        problems += family.problems if family is not None else []
    if any(problem.is_error for problem in problems):
        return LoadResult(None, problems, features)
    return LoadResult(build(document, os.path.abspath(path), environ, overrides, features, expansion), problems,
                      features)


def changes(kept: str, current: str) -> List[str]:
    """What is different in the current text of a configuration, one line each; empty where only its form is."""
    before, after = load_text(kept).value, load_text(current).value
    if not isinstance(before, dict) or not isinstance(after, dict):
        return ["the file is another one altogether"]
    lines = []
    for key in sorted(set(before) | set(after)):
        if key != "jobs" and not key.startswith("_") and before.get(key) != after.get(key):
            lines.append("%s was %s" % (key, "added" if key not in before else
                                        "removed" if key not in after else "changed"))
    old, new = _inner_by_job(before), _inner_by_job(after)
    lines += ["the configuration that job %s runs was changed" % job_id for job_id in sorted(old)
              if job_id in new and new[job_id] != old[job_id]]
    old, new = _jobs_by_id(before), _jobs_by_id(after)
    for job_id in sorted(set(old) | set(new)):
        if job_id not in new:
            lines.append("job %s was removed" % job_id)
        elif job_id not in old:
            lines.append("job %s was added" % job_id)
        elif old[job_id] != new[job_id]:
            different = sorted(key for key in set(old[job_id]) | set(new[job_id])
                               if old[job_id].get(key) != new[job_id].get(key) and not key.startswith("_"))
            if different:
                lines.append("job %s: %s changed" % (job_id, ", ".join(different)))
    return lines


def _of_a_file(kept: object, path: str, place: Path) -> Tuple[str, Path]:
    """The file that a place of a kept configuration is of, and the place in that."""
    from config.inner import CONTENTS
    entries = kept.get(CONTENTS) if isinstance(kept, dict) and place[:1] == (CONTENTS,) else None
    if isinstance(entries, list) and isinstance(place[1], int):
        return str(entries[place[1]]["file"]), place[3:]
    return path, place


def _current(document: Document, path: str, overrides: Overrides) -> object:
    """What the current file holds, with the inner ones in the places that they have in the kept one."""
    current = load(path, overrides.insecure_config).value
    kept = document.value
    if isinstance(kept, dict) and isinstance(current, dict) and has_inner_files(kept):
        from config.inner import CONTENTS
        entries = kept.get(CONTENTS)
        files = [str(entry.get("file")) for entry in (entries if isinstance(entries, list) else ())]
        current = dict(current)
        current[CONTENTS] = [{"file": file, "content": load(file, overrides.insecure_config).value} for file in files]
    return current


def _secrets_of(current: object, folder: str, environ: Mapping[str, str], overrides: Overrides) -> Set[str]:
    """The secret values of a current configuration and of the inner ones."""
    found = secrets_of(current, folder, environ, overrides.env)
    from config.inner import CONTENTS
    inner = current.get(CONTENTS) if isinstance(current, dict) else None
    for entry in inner if isinstance(inner, list) else ():
        if isinstance(entry, dict):
            own_folder = os.path.dirname(str(entry.get("file", "")))
            found.update(_secrets_of(entry.get("content"), own_folder, environ, overrides))
    return found


def _restore(document: Document, current: object, environ: Mapping[str, str], overrides: Overrides) -> List[Path]:
    """Put the secrets of the current file where the kept text has them replaced; the places where there are none."""
    missing: List[Path] = []
    folder = os.path.dirname(os.path.abspath(document.file))
    masker = Masker(_secrets_of(current, folder, environ, overrides))
    document.value = _whole(document.value, current, masker, (), missing)
    return missing


def _whole(kept: object, current: object, masker: Masker, place: Path, missing: List[Path]) -> object:
    if isinstance(kept, str):
        if MASK not in kept:
            return kept
        if isinstance(current, (str, int, float)) and (kept == MASK or masker.mask_text(str(current)) == kept):
            return current
        missing.append(place)
        return kept
    if isinstance(kept, list):
        others = current if isinstance(current, list) else []
        if place[-1:] == ("jobs",) and (len(place) == 1 or place[-2:-1] == ("content",)):
            by_id = {other.get("id"): other for other in others if isinstance(other, dict)}
            others = [by_id.get(one.get("id")) if isinstance(one, dict) else None for one in kept]
        return [_whole(one, others[index] if index < len(others) else None, masker, place + (index,), missing)
                for index, one in enumerate(kept)]
    if isinstance(kept, dict):
        known: Dict[str, object] = current if isinstance(current, dict) else {}
        return {key: _whole(one, known.get(key), masker, place + (key,), missing) for key, one in kept.items()}
    return kept


def _inner_by_job(top: Mapping[str, object]) -> Dict[str, Dict[str, object]]:
    if not has_inner_files(top):
        return {}
    from config.inner import kept_contents
    return {job_id: {"content": content.value} for job_id, content in kept_contents(top).items()}


def _jobs_by_id(top: Mapping[str, object]) -> Dict[str, Dict[str, object]]:
    jobs = top.get("jobs")
    pairs: List[Tuple[str, Dict[str, object]]] = [
        (str(job.get("id")), job) for job in (jobs if isinstance(jobs, list) else []) if isinstance(job, dict)]
    return dict(pairs)
