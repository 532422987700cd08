/**
 * The handle of what was acquired: values to use, a signal that says when they are no longer ours, and the ways to give them
 * back. Where a time to live was asked for, it is renewed from here. Knows nothing of how it was acquired.
 */
import type { ErrorCode } from "../../protocol/errors.ts";
import type { GrantedItem, GrantReply } from "../../protocol/pools.ts";
import { EphemeralError } from "../client.ts";
import type { CancelTimer, ClientClock } from "../client-clock.ts";
import type { Outgoing } from "../connection/call.ts";
import type { Connection } from "../connection/connection.ts";
import { asyncDisposeSymbol } from "../disposal.ts";
import type { HeldGrant } from "./held-grant.ts";

/** @internal */
export interface GrantParts {
  readonly connection: Connection;
  readonly clock: ClientClock;
  /** What was asked for; undefined to hold it as long as the session. */
  readonly ttlMs: number | undefined;
}

/** So many renewals are tried within one time to live. */
const renewalsPerTtl = 3;

export class Grant<Value = unknown> implements HeldGrant {
  readonly id: string;
  /** Larger than that of every hold granted before: a resource that remembers it can refuse a holder that is none any more. */
  readonly fence: number;
  /** In the order they were asked for. */
  readonly items: readonly (GrantedItem & { readonly value: Value })[];
  readonly #connection: Connection;
  readonly #clock: ClientClock;
  /** Made when somebody asks for it: it costs more than all the rest of a handle. */
  #signalled: AbortController | undefined;
  /** Why it was lost. */
  #loss: EphemeralError | undefined;
  #ttlMs: number | undefined;
  #expiresAtMs: number | undefined;
  #timers: readonly CancelTimer[] = [];
  /** How it was given back. */
  #ending: Promise<boolean> | undefined;

  /** @internal */
  constructor({ id, fence, items, expiresAtMs }: GrantReply, { connection, clock, ttlMs }: GrantParts) {
    this.id = id;
    this.fence = fence;
    // The caller says what is in the pool; a codec cannot tell.
    this.items = (
      items.every(isScalar) ? items : items.map((item) => readItem(item, connection))
    ) as Grant<Value>["items"];
    this.#connection = connection;
    this.#clock = clock;
    this.#ttlMs = ttlMs;
    connection.handles.grants.set(id, this);
    if (ttlMs !== undefined) this.#expires(expiresAtMs, clock.nowMs());
  }

  /** The value of the first item; of a lock or a semaphore its number from 0. */
  get value(): Value {
    // Nothing is granted without an item.
    return (this.items[0] as GrantedItem & { readonly value: Value }).value;
  }

  /** Unix milliseconds at which it ends unless it is renewed; undefined without a time to live. */
  get expiresAtMs(): number | undefined {
    return this.#expiresAtMs;
  }

  /** Aborts when it ends without having been given back: with the session, or after its time to live. */
  get lost(): AbortSignal {
    this.#signalled ??= new AbortController();
    if (this.#loss !== undefined) this.#signalled.abort(this.#loss);
    return this.#signalled.signal;
  }

  /** Gives everything back. Resolves to false when there was nothing left to give back. Idempotent. */
  release(): Promise<boolean> {
    this.#ending ??= this.#loss ? Promise.resolve(false) : this.#end({ action: "release", grant: this.id });
    return this.#ending;
  }

  /** Gives everything back as broken: nobody gets these items before `pool.add` brings them back.
   *  @throws {EphemeralError} `not_owner` when it is over, `bad_command` for locks and semaphores, which have nothing to break */
  async quarantine(reason: string): Promise<void> {
    if (this.#ending !== undefined || this.#loss !== undefined) throw this.#over("quarantine");
    this.#ending = this.#end({ action: "quarantine", grant: this.id, reason });
    const isDone = await this.#ending.catch((error: unknown) => {
      this.#ending = undefined;
      this.#arm(this.#clock.nowMs());
      throw error;
    });
    if (!isDone) throw this.#over("quarantine");
  }

  /** Lets it last `ttl` milliseconds from now, and renews it by itself from then on. Resolves to when it would end.
   *  @throws {EphemeralError} `not_owner` when it is over, `invalid_ttl` */
  async renew(ttl: number): Promise<number> {
    if (this.#ending !== undefined || this.#loss !== undefined) throw this.#over("renew");
    const sentAtMs = this.#clock.nowMs();
    try {
      const command = { action: "renew", grant: this.id, ttl } as const;
      const expiresAtMs = await this.#connection.call({ command, read: (reply) => reply.expiresAtMs });
      this.#ttlMs = ttl;
      if (this.#ending === undefined) this.#expires(expiresAtMs, sentAtMs);
      return expiresAtMs;
    } catch (error) {
      if (isOver(error)) this.#lose("expired", "its time to live passed");
      throw error;
    }
  }

  lose(): void {
    this.#lose("unavailable", "its session ended with the connection to the broker");
  }

  async [asyncDisposeSymbol](): Promise<void> {
    await this.release();
  }

  /** Says `command`, which ends it. False when it was over already. */
  #end(command: Outgoing<"release" | "quarantine">): Promise<boolean> {
    this.#disarm();
    return this.#connection.call({ command, read: () => true }).catch((error: unknown) => {
      // With its session it is over, too.
      if (!isOver(error) && this.#connection.handles.grants.has(this.id)) throw error;
      this.#connection.handles.grants.delete(this.id);
      return false;
    });
  }

  #lose(code: ErrorCode, reason: string): void {
    this.#disarm();
    this.#connection.handles.grants.delete(this.id);
    if (this.#ending !== undefined || this.#loss !== undefined) return;
    this.#loss = new EphemeralError(code, `Lost ${this.#names}: ${reason}`);
    this.#signalled?.abort(this.#loss);
  }

  get #names(): string {
    return [...new Set(this.items.map(({ pool }) => JSON.stringify(pool)))].join(" and ");
  }

  #expires(expiresAtMs: number | undefined, fromMs: number): void {
    this.#expiresAtMs = expiresAtMs;
    this.#arm(fromMs);
  }

  /** The broker says nothing when a time to live is over, so we count it too, from an instant before it did. */
  #arm(fromMs: number): void {
    this.#disarm();
    const ttlMs = this.#ttlMs;
    if (ttlMs === undefined) return;
    const after = (delayMs: number, alarm: () => void): CancelTimer =>
      this.#clock.after(delayMs, { alarm, keepsAlive: false });
    const leftMs = fromMs + ttlMs - this.#clock.nowMs();
    this.#timers = [
      after(ttlMs / renewalsPerTtl, () => this.#renewAgain(ttlMs)),
      after(leftMs, () => this.#lose("expired", `its time to live of ${ttlMs} ms passed`)),
    ];
  }

  /** Until it works: what ends it meanwhile is the other timer's business. */
  #renewAgain(ttlMs: number): void {
    this.renew(ttlMs).catch(() => {
      if (this.#ending !== undefined || this.#loss !== undefined) return;
      const again = { alarm: () => this.#renewAgain(ttlMs), keepsAlive: false };
      this.#timers = [...this.#timers, this.#clock.after(ttlMs / renewalsPerTtl, again)];
    });
  }

  #disarm(): void {
    for (const cancel of this.#timers) cancel();
    this.#timers = [];
  }

  #over(action: string): EphemeralError {
    const actual = this.#loss ? "it was lost" : "it has been given back";
    return new EphemeralError("not_owner", `Cannot ${action} ${this.#names}: ${actual}`);
  }
}

/** Whether its value is the same in every codec. */
function isScalar({ value }: GrantedItem): boolean {
  return typeof value !== "object";
}

function readItem({ pool, slot, value }: GrantedItem, { codec }: Connection): GrantedItem {
  return { pool, slot, value: codec.fromMember(value) };
}

function isOver(error: unknown): boolean {
  return error instanceof EphemeralError && error.code === "not_owner";
}
