/**
 * What this client holds in the broker, as its callers were told: learnt from replies, so that after a cut both sides can be
 * compared. Knows what grants, ends and gives back a hold; nothing of sessions or connections.
 */
import type { Hold, Reply } from "../../protocol/commands.ts";
import type { GrantReply } from "../../protocol/pools.ts";
import type { TakenJob } from "../../protocol/sharing.ts";
import type { Outgoing } from "./call.ts";

/** A hold that is gone though nobody released it. */
export interface LostHold {
  readonly kind: Hold["kind"];
  /** What was held; of items of pools the grant's id. */
  readonly key: string;
  /** Of a lease. */
  readonly workerId?: string;
  /** Of a session-scoped key the version that was set. */
  readonly fence: number;
}

/** What is given back where nobody knows of it.
 *  @internal */
export type Grant = Extract<Hold, { readonly kind: "lease" | "once" | "grant" | "job" }>;

interface Held {
  readonly hold: Hold;
  /** By the wall clock, which is the broker's too; undefined without a ttl. */
  readonly expiresAtMs: number | undefined;
  /** Whether it ends with the session. */
  readonly isSessions: boolean;
}

/** Past so many, and at each doubling from there, what has expired is forgotten: a lease may end without a word. */
const pruneSizeMin = 1024;

/** @internal */
export class Holds {
  /** By worker, then by name. What is no lease belongs to no worker. */
  readonly #byWorker = new Map<string, Map<string, Held>>();
  #size = 0;
  #pruneSize = pruneSizeMin;

  /** A lease that was got later counts as well: what gives leases back names no fence. */
  has(hold: Hold): boolean {
    const held = this.#byWorker.get(workerOf(hold))?.get(nameOf(hold));
    if (held === undefined) return false;
    const laterBy = fenceOf(held.hold) - fenceOf(hold);
    return laterBy === 0 || (laterBy > 0 && hold.kind === "lease");
  }

  /** Notes what a good reply to `command` granted. */
  add(command: Outgoing, hold: Hold, reply: object): void {
    const { expiresAtMs } = reply as Partial<Reply<"lease">>; // only a lease's reply has it
    const isSessions = command.action !== "lease" || command.scope === "session";
    const worker = workerOf(hold);
    const held = this.#byWorker.get(worker) ?? new Map<string, Held>();
    this.#byWorker.set(worker, held);
    this.#size -= held.size;
    held.set(nameOf(hold), { hold, expiresAtMs, isSessions });
    this.#size += held.size;
    if (this.#size <= this.#pruneSize) return;
    this.#take(({ expiresAtMs: atMs }) => atMs !== undefined && atMs <= Date.now());
    this.#pruneSize = Math.max(pruneSizeMin, 2 * this.#size);
  }

  /** Notes what `command` has done to what is held, its `reply` being one that grants nothing to give back; undefined where the
   *  broker says that we do not hold what it ends. */
  note(command: Outgoing, reply: object | undefined): void {
    if (command.action === "release") {
      const { workerId, key } = command;
      if (workerId !== undefined && key !== undefined && key !== "*") this.#delete(workerId, `lease ${key}`);
      else if (workerId !== undefined) this.#takeOf(workerId, () => true);
    } else if (command.action === "once.resolve" || command.action === "once.reject") {
      const { key: id, fence } = command;
      if (this.has({ kind: "once", id, fence })) this.#delete("", `once ${id}`);
    } else if (command.action === "queue.ack" || command.action === "queue.nack") {
      this.#delete("", `job ${command.fence}`);
    } else if (command.action === "set" || command.action === "del") {
      if (this.#size > 0) this.#delete("", `key ${command.key}`);
      if (command.action === "del" || command.scope !== "session" || reply === undefined) return;
      const { version } = reply as Reply<"set">; // what was asked is what is answered
      this.add(command, { kind: "key", id: command.key, version }, {});
    }
  }

  /** Forgets all but `holds`, and returns what it forgot. */
  retain(holds: readonly Hold[]): readonly Hold[] {
    // A key is known by its name: others may have set it meanwhile.
    const there = new Set(holds.map((hold) => (hold.kind === "key" ? nameOf(hold) : hold.fence)));
    const taken = this.#take(({ hold }) => !there.has(hold.kind === "key" ? nameOf(hold) : hold.fence));
    return taken.map(({ hold }) => hold);
  }

  /** The session has ended: forgets what ended with it, and returns it but for what had expired before. */
  lose(): readonly LostHold[] {
    const nowMs = Date.now();
    const isOver = ({ expiresAtMs }: Held): boolean => expiresAtMs !== undefined && expiresAtMs <= nowMs;
    const lost = this.#take((held) => held.isSessions).filter((held) => !isOver(held));
    return lost.map(({ hold }) => {
      const { kind, id: key } = hold;
      const fence = fenceOf(hold);
      return kind === "lease" ? { kind, key, workerId: hold.workerId, fence } : { kind, key, fence };
    });
  }

  #take(isTaken: (held: Held) => boolean): readonly Held[] {
    return [...this.#byWorker.keys()].flatMap((worker) => this.#takeOf(worker, isTaken));
  }

  #takeOf(worker: string, isTaken: (held: Held) => boolean): readonly Held[] {
    const taken = [...(this.#byWorker.get(worker) ?? [])].filter(([, held]) => isTaken(held));
    for (const [name] of taken) this.#delete(worker, name);
    return taken.map(([, held]) => held);
  }

  #delete(worker: string, name: string): void {
    const held = this.#byWorker.get(worker);
    if (!held?.delete(name)) return;
    this.#size -= 1;
    if (held.size === 0) this.#byWorker.delete(worker);
  }
}

function workerOf(hold: Hold): string {
  return hold.kind === "lease" ? hold.workerId : "";
}

function nameOf(hold: Hold): string {
  return `${hold.kind} ${hold.kind === "job" ? hold.fence : hold.id}`;
}

function fenceOf(hold: Hold): number {
  return hold.kind === "key" ? hold.version : hold.fence;
}

/** What a good reply to `command` gives to hold.
 *  @internal */
export function grantOf(command: Outgoing, reply: object): Grant | undefined {
  if (command.action === "queue.take") {
    const [job] = (reply as { readonly jobs: readonly TakenJob[] }).jobs; // our queues take one at a time
    return job && { kind: "job", id: command.queue, job: job.id, fence: job.fence };
  }
  // Where there is neither, nothing is granted.
  const { fence, grant } = reply as { readonly fence?: number; readonly grant?: GrantReply };
  if (grant !== undefined) return { kind: "grant", id: grant.id, fence: grant.fence, items: grant.items };
  if (fence === undefined) return undefined;
  if (command.action === "once") return { kind: "once", id: command.key, fence };
  return command.action === "lease" ? { kind: "lease", id: command.key, workerId: command.workerId, fence } : undefined;
}

/** @internal */
export function isGrant(hold: Hold): hold is Grant {
  return hold.kind !== "key" && hold.kind !== "barrier";
}

/** Whether `command` asks for `hold`, or ends it: whoever finds it unexpectedly leaves it to that command.
 *  @internal */
export function isAbout(command: Outgoing, hold: Hold): boolean {
  if (hold.kind === "grant") return command.action === "release" && command.grant === hold.id;
  if (hold.kind === "once") return command.action === "once" && command.key === hold.id;
  if (hold.kind === "job") return "job" in command && command.fence === hold.fence;
  if (hold.kind !== "lease") return false;
  if (command.action === "lease") return command.workerId === hold.workerId && command.key === hold.id;
  if (command.action !== "release" || command.workerId !== hold.workerId) return false;
  return command.key === undefined || command.key === "*" || command.key === hold.id;
}

/** What gives `grant` back.
 *  @internal */
export function undoOf(grant: Grant): Outgoing {
  if (grant.kind === "lease") return { action: "release", workerId: grant.workerId, key: grant.id };
  if (grant.kind === "grant") return { action: "release", grant: grant.id };
  const reason = "its caller has gone";
  if (grant.kind === "job") {
    const { id: queue, job, fence } = grant;
    return { action: "queue.nack", queue, job, fence, delayMs: undefined, reason, pass: true };
  }
  return { action: "once.reject", key: grant.id, fence: grant.fence, reason, cacheMs: undefined, pass: true };
}
