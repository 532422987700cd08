/**
 * One job of a queue from its pushing to its end: where it is, who has it, how often it was taken. A node of the heap, for
 * the time it may be kept or is to rest; and of its lane while it can be taken. What becomes of it stands in `queues.ts`.
 */
import type { EncodedValue } from "../../../protocol/commands.ts";
import type { Caller } from "../../engine.ts";
import { Expiring } from "../../expiry-heap.ts";
import type { Taken } from "../../sharing.ts";
import type { WorkQueue } from "./work-queue.ts";

/** What a job costs beside its id and its data, estimated. */
const overheadBytes = 200;

/** Who has taken it, and since when. */
export interface Taking {
  readonly caller: Caller;
  readonly fence: number;
  readonly sinceAtMs: number;
  readonly outlivesSession: boolean;
}

export class Job extends Expiring {
  readonly queue: WorkQueue;
  readonly id: string;
  /** Whether whoever pushed it chose the id, and may push it again. */
  readonly isNamed: boolean;
  readonly data: EncodedValue;
  readonly priority: number;
  /** What it counts for in `queueBytesMax`. */
  readonly bytes: number;
  readonly #due: (job: Job) => void;
  /** How often it was taken, and the taking counts. */
  attempt = 0;
  /** While somebody has it. */
  taking: Taking | undefined;
  /** Why it is dead, and who had it last. */
  death: { readonly reason: string; readonly label: string } | undefined;
  /** Neighbours in its lane; only the lane writes them. */
  previous: Job | undefined;
  next: Job | undefined;

  constructor(about: Pick<Job, "queue" | "id" | "isNamed" | "data" | "priority">, due: (job: Job) => void) {
    super();
    this.queue = about.queue;
    this.id = about.id;
    this.isNamed = about.isNamed;
    this.data = about.data;
    this.priority = about.priority;
    this.bytes = bytesOf(this.id, this.data);
    this.#due = due;
  }

  /** What its taker is told. */
  answer(fence: number): Taken {
    return { id: this.id, data: this.data, attempt: this.attempt, fence, expiresAtMs: this.endsAtMs };
  }

  /** When it goes back by itself; undefined when it does not. */
  get endsAtMs(): number | undefined {
    return this.expiresAtMs === Number.POSITIVE_INFINITY ? undefined : this.expiresAtMs;
  }

  override expire(): void {
    this.#due(this);
  }
}

/** What a job counts for in `queueBytesMax`, estimated. */
export function bytesOf(id: string | undefined, data: EncodedValue): number {
  return Buffer.byteLength(id ?? "") + Buffer.byteLength(data) + overheadBytes;
}
