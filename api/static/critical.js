// What the length of a run came from: back from the job that ended last, always to what was waited for longest.

import { seconds } from "./dom.js";

export function criticalPath(jobs, dependencies) {
  const byId = new Map(jobs.map((job) => [job.job_id, job]));
  let current = null;
  for (const job of jobs) {
    if (job.ended && job.attempts > 0 && (current === null || seconds(job.ended) > seconds(current.ended))) current = job;
  }
  const path = [];
  const seen = new Set();
  while (current !== null && !seen.has(current.job_id)) {
    path.unshift(current.job_id);
    seen.add(current.job_id);
    let last = null;
    for (const arrow of dependencies[current.job_id] || []) {
      const other = byId.get(arrow.job);
      if (other && other.ended && other.status !== "SKIPPED" && (other.attempts > 0 || other.status !== "SUCCESS") && (last === null || seconds(other.ended) > seconds(last.ended))) last = other;
    }
    current = last;
  }
  return path;
}
