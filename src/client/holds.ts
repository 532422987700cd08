/**
 * What this client holds in the broker, as its callers were told: learnt from replies, so that after a cut both sides can be
 * compared. Knows what grants, ends and gives back a hold; nothing of sessions or connections.
 */
import type { Hold, Reply } from "../protocol/commands.ts";
import type { Outgoing } from "./call.ts";

/** A hold that is gone though nobody released it. */
export interface LostHold {
  readonly kind: "lease" | "once";
  readonly key: string;
  /** Of a lease. */
  readonly workerId?: string;
  readonly fence: number;
}

/** What can be given back. Session-scoped keys are values: they are not. */
export type Grant = Exclude<Hold, { readonly kind: "key" | "grant" }>;

interface Held {
  readonly grant: Grant;
  /** By the wall clock, which is the broker's too; undefined without a ttl. */
  readonly expiresAtMs: number | undefined;
  /** Whether it ends with the session. */
  readonly isSessions: boolean;
}

/** Past so many, and at each doubling from there, what has expired is forgotten: a lease may end without a word. */
const pruneSizeMin = 1024;

export class Holds {
  /** By worker, then by kind and key. Turns of `once` belong to no worker. */
  readonly #byWorker = new Map<string, Map<string, Held>>();
  #size = 0;
  #pruneSize = pruneSizeMin;

  has(grant: Grant): boolean {
    return this.#byWorker.get(workerOf(grant))?.get(nameOf(grant))?.grant.fence === grant.fence;
  }

  /** Notes what a good reply to `command` granted. */
  add(command: Outgoing, grant: Grant, reply: object): void {
    const { expiresAtMs } = reply as Partial<Reply<"lease">>; // only a lease's reply has it
    const isSessions = command.action !== "lease" || command.scope === "session";
    const worker = workerOf(grant);
    const held = this.#byWorker.get(worker) ?? new Map<string, Held>();
    this.#byWorker.set(worker, held);
    this.#size -= held.size;
    held.set(nameOf(grant), { grant, expiresAtMs, isSessions });
    this.#size += held.size;
    if (this.#size <= this.#pruneSize) return;
    this.#take(({ expiresAtMs: atMs }) => atMs !== undefined && atMs <= Date.now());
    this.#pruneSize = Math.max(pruneSizeMin, 2 * this.#size);
  }

  /** Forgets what `command` has ended. */
  end(command: Outgoing): void {
    if (command.action === "release") {
      const { workerId, key } = command;
      if (workerId === undefined) return;
      const isNamed = key !== undefined && key !== "*";
      this.#takeOf(workerId, (held) => !isNamed || held.grant.id === key);
    } else if (command.action === "once.resolve" || command.action === "once.reject") {
      this.#takeOf("", ({ grant }) => grant.fence === command.fence);
    }
  }

  /** Forgets all but `holds`, and returns what it forgot. */
  retain(holds: readonly Hold[]): readonly Grant[] {
    const fences = new Set(holds.map((hold) => (hold.kind === "key" ? undefined : hold.fence)));
    return this.#take(({ grant }) => !fences.has(grant.fence)).map(({ grant }) => grant);
  }

  /** The session has ended: forgets what ended with it, and returns it but for what had expired before. */
  lose(): readonly LostHold[] {
    const nowMs = Date.now();
    const isOver = ({ expiresAtMs }: Held): boolean => expiresAtMs !== undefined && expiresAtMs <= nowMs;
    const lost = this.#take((held) => held.isSessions).filter((held) => !isOver(held));
    return lost.map(({ grant: { id, ...rest } }) => ({ key: id, ...rest }));
  }

  #take(isTaken: (held: Held) => boolean): readonly Held[] {
    return [...this.#byWorker.keys()].flatMap((worker) => this.#takeOf(worker, isTaken));
  }

  #takeOf(worker: string, isTaken: (held: Held) => boolean): readonly Held[] {
    const held = this.#byWorker.get(worker) ?? new Map<string, Held>();
    const taken = [...held].filter(([, one]) => isTaken(one));
    for (const [name] of taken) held.delete(name);
    if (held.size === 0) this.#byWorker.delete(worker);
    this.#size -= taken.length;
    return taken.map(([, one]) => one);
  }
}

function workerOf(grant: Grant): string {
  return grant.kind === "lease" ? grant.workerId : "";
}

function nameOf({ kind, id }: Grant): string {
  return `${kind} ${id}`;
}

/** What a good reply to `command` gives to hold. */
export function grantOf(command: Outgoing, reply: object): Grant | undefined {
  const { fence } = reply as { readonly fence?: number }; // where there is none, nothing is granted
  if (fence === undefined) return undefined;
  if (command.action === "once") return { kind: "once", id: command.key, fence };
  return command.action === "lease" ? { kind: "lease", id: command.key, workerId: command.workerId, fence } : undefined;
}

/** Whether `command` asks for `grant`, or ends it: whoever finds it unexpectedly leaves it to that command. */
export function isAbout(command: Outgoing, grant: Grant): boolean {
  if (grant.kind === "once") return command.action === "once" && command.key === grant.id;
  if (command.action === "lease") return command.workerId === grant.workerId && command.key === grant.id;
  if (command.action !== "release" || command.workerId !== grant.workerId) return false;
  return command.key === undefined || command.key === "*" || command.key === grant.id;
}

/** What gives `grant` back. */
export function undoOf(grant: Grant): Outgoing {
  const { id: key, fence } = grant;
  if (grant.kind === "lease") return { action: "release", workerId: grant.workerId, key };
  const reason = "its caller has gone";
  return { action: "once.reject", key, fence, reason, cacheMs: undefined, pass: true };
}
