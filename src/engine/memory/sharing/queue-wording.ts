/**
 * What people are told of queues: why there is nothing to take, who has the jobs, and what became of a taking that is over.
 * Reads queues, changes nothing.
 */
import { EphemeralError } from "../../../protocol/errors.ts";
import { inWords, listed, nameOf } from "../../wording.ts";
import type { Job } from "./job.ts";
import type { WorkQueue } from "./work-queue.ts";

export function nothingToTake(queue: WorkQueue, nowMs: number): EphemeralError {
  return new EphemeralError("timeout", `Did not wait for a job of ${stateOf(queue, nowMs)}`);
}

export function timedOut(queue: WorkQueue, { waitMs, nowMs }: { readonly waitMs: number; readonly nowMs: number }) {
  return new EphemeralError("timeout", `Timed out after ${waitMs} ms waiting for a job of ${stateOf(queue, nowMs)}`);
}

export function closedQueue(name: string, count: number): EphemeralError {
  const text = `Cannot push ${count} new jobs to queue ${JSON.stringify(name)}: it is closed`;
  return new EphemeralError("bad_command", text, { details: { queue: name } });
}

/** A taking that somebody names and nobody has. */
interface LostTaking {
  readonly name: string;
  readonly id: string;
  readonly fence: number;
  readonly action: string;
  readonly job: Job | undefined;
}

export function notTaken({ name, id, fence, action, job }: LostTaking): EphemeralError {
  const wanted = `Cannot ${action} job ${JSON.stringify(id)} of queue ${JSON.stringify(name)} with fence ${fence}`;
  return new EphemeralError("not_owner", `${wanted}: ${whereIs(job)}`);
}

function whereIs(job: Job | undefined): string {
  if (job === undefined) return "it is done, or was never there";
  if (job.taking !== undefined) return `${nameOf(job.taking.caller)} has it, with fence ${job.taking.fence}`;
  return job.death === undefined ? "it is back in the queue" : `it is dead after ${job.attempt} attempts`;
}

function stateOf(queue: WorkQueue, nowMs: number): string {
  const { depth, inFlight } = queue.counts;
  const name = `queue ${JSON.stringify(queue.name)}`;
  if (!queue.isUsed) return `${name}: nobody has pushed any`;
  const resting = depth === 0 ? "" : `, ${depth} given back with a delay`;
  if (inFlight === 0) return `${name}: it is empty${resting}`;
  const holders = [...queue.inFlight].flatMap(({ id, taking }) => {
    if (taking === undefined) return [];
    return [`${JSON.stringify(id)} by ${nameOf(taking.caller)} for ${inWords(nowMs - taking.sinceAtMs)}`];
  });
  return `${name}: ${inFlight} in flight (${listed(holders, inFlight)})${resting}`;
}
