/**
 * The client: one method per command, with the seed's signatures. Every method may be called at any time; the connection is
 * made with the first command, shared by all, and keeps the process alive only while an answer is awaited. What is loaded
 * later takes its errors from here: then all that is loaded at once is one file of a bundle.
 */
import type { CommandName, Reply } from "../protocol/commands.ts";
import { jsonText } from "../protocol/json-values.ts";
import type { GetOptions, IncrOptions, LeaseOptions, SetOptions } from "./command-options.ts";
import type { Outgoing } from "./connection/call.ts";
import { Connection } from "./connection/connection.ts";
import { asyncDisposeSymbol, disposeSymbol } from "./disposal.ts";
import { inflated } from "./inflating.ts";
import { Later } from "./later.ts";
import { type ClientOptions, type ClientSettings, clientSettings } from "./options.ts";
import { dialling } from "./transports/dialling.ts";

export type { ChannelInfo, Member, Position } from "../protocol/channels.ts";
export type { ClientCodec } from "../protocol/codec.ts";
export type { Health, ListedItem, SessionInfo, Stats } from "../protocol/commands.ts";
export { EphemeralError } from "../protocol/errors.ts";
export type { Limits } from "../protocol/limits.ts";
export type { GrantedItem, WhyReply } from "../protocol/pools.ts";
export type { Addressee } from "../protocol/requests.ts";
export type { LimitGrant, QueueCounts, QueueInfo } from "../protocol/sharing.ts";
export type {
  ChannelEvent,
  ChannelHistory,
  ChannelMessage,
  HistoryOptions,
  Publication,
  PublishOptions,
  SubscribeOptions,
  Subscription,
} from "./channels/channel-options.ts";
export type {
  AcquireOptions,
  BarrierOptions,
  LimitOptions,
  LockOptions,
  OnEndOptions,
  PoolItem,
  QueueItem,
  QueueOptions,
  SeatOptions,
  Want,
} from "./command-options.ts";
export type { LostHold } from "./connection/holds.ts";
export type { ClientOptions } from "./options.ts";
export type {
  EventListener,
  Origin,
  RequestHandler,
  RequestOptions,
  Service,
  StandingOptions,
} from "./requests/requests.ts";
export type { Job, NackOptions } from "./sharing/job.ts";
export type { Queue } from "./sharing/sharing.ts";
export type { Grant } from "./turns/grant.ts";
export type { Holding, PoolHandle, Wants } from "./turns/turns.ts";
export type { Watch, WatchEvent, WatchOptions } from "./watches.ts";

export class Client extends Later {
  /** Path of the broker's pipe, or its URL. */
  readonly pipe: string;
  readonly #settings: ClientSettings;
  readonly #connection: Connection;

  /** Makes a client of the broker at `pipe`, which may be its URL (`ws:`, `wss:`), else at `EPHEMERAL_PIPE`, else at
   *  `EPHEMERAL_URL`. Nothing is dialled before the first command, which
   *  also waits up to `timeoutMs` for the broker to come up.
   *  @throws {EphemeralError} `unavailable` when no pipe is named, `bad_command` for an option that cannot be */
  constructor(pipe?: string | null, options?: ClientOptions);
  constructor(options?: ClientOptions);
  constructor(pipeOrOptions?: string | null | ClientOptions, options?: ClientOptions) {
    const pipe = typeof pipeOrOptions === "string" ? pipeOrOptions : undefined;
    const settings = clientSettings(pipe, options ?? (typeof pipeOrOptions === "object" ? (pipeOrOptions ?? {}) : {}));
    const connection: Connection = new Connection({
      ...settings,
      dial: settings.dial ?? dialling(settings, () => connection),
    });
    super(connection, settings);
    this.#settings = settings;
    this.pipe = settings.endpoint;
    this.#connection = connection;
  }

  /** `disconnected` before the first command and after a loss nobody waited in; `closed` for good. */
  get state(): "disconnected" | "connecting" | "connected" | "reconnecting" | "closed" {
    return this.#connection.state;
  }

  /** Calls `listener` with each state the client comes into, until what it returns is called. */
  onState(listener: (state: Client["state"]) => void): () => void {
    const { stateListeners } = this.#connection;
    stateListeners.add(listener);
    return () => void stateListeners.delete(listener);
  }

  /** Stores `value` (JSON or a `Uint8Array`) under `key` for `ttl` milliseconds and resolves to its version, a number that
   *  grows with every change in the broker.
   *  @throws {EphemeralError} `exists`, `not_found` or `version_mismatch` when the condition does not hold, `invalid_ttl`,
   *  `too_large`, `max_items`, `bad_command` for what JSON cannot carry */
  set(key: string, value: unknown, ttl?: number | SetOptions): Promise<number> {
    const options = typeof ttl === "object" ? ttl : { ttl };
    try {
      const member = this.#settings.codec.toMember(value);
      if (this.#settings.compressionThreshold === Number.POSITIVE_INFINITY)
        return this.#store(key, { member, options });
      return this.#storeSmaller(key, { text: jsonText(value), member, options });
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Resolves to the value of `key`; with `waitMs` waits until somebody sets it.
   *  @throws {EphemeralError} `not_found`, `expired` for 30 s after its end, `timeout` when nobody set it in time */
  get<Value = unknown>(key: string, options?: GetOptions): Promise<Value> {
    const command = { action: "get", key, refresh: options?.refresh } as const;
    return this.#connection.call({
      command,
      // The caller says what was stored; a codec cannot tell.
      read: ({ value, compressed }) =>
        (compressed ? inflated(key, value) : this.#settings.codec.fromMember(value)) as Value | Promise<Value>,
      waitMs: options?.waitMs,
      signal: options?.signal,
    });
  }

  /** Gives `key` `ttl` milliseconds to live from now on, and resolves to the instant it ends, in Unix milliseconds.
   *  @throws {EphemeralError} `not_found`, `expired` for 30 s after its end, `invalid_ttl` */
  touch(key: string, ttl: number = this.#settings.defaultTtlMs): Promise<number> {
    return this.#call({ action: "touch", key, ttl }, (reply) => reply.expiresAtMs);
  }

  /** Adds to the number under `key`, which is 0 where there is none, and resolves to the sum. Nobody's addition is lost.
   *  @throws {EphemeralError} `not_a_number` when something else is stored there, or the sum is beyond ±(2^53−1) */
  incr(key: string, by?: number | IncrOptions): Promise<number> {
    const { ttl, ...options } = typeof by === "object" ? by : { by };
    const ttlIfNew = this.#settings.defaultTtlMs;
    return this.#call({ action: "incr", key, by: options.by, ttl, ttlIfNew }, (reply) => reply.value);
  }

  /** Removes `key`. Resolves to whether it was there.
   *  @throws {EphemeralError} `version_mismatch` when it stands at another version than `options.version` */
  del(key: string, options?: { readonly version?: number | undefined }): Promise<boolean> {
    return this.#call({ action: "del", key, version: options?.version }, (reply) => reply.deleted);
  }

  /** Takes the lowest free number of `key` for `workerId`, or renews the one it holds, for `ttl` milliseconds. It is free again
   *  when it is released, when `ttl` is over, and, unless `scope` is "ttl", when this client's process dies.
   *  @throws {EphemeralError} `pool_exhausted` when all `size` are held and `waitMs` is 0, `timeout`, `not_owner` when the
   *  worker's lease is another session's, `size_mismatch`, `key_and_worker_required` */
  lease(key: string, workerId: string, ttl?: number | null, options?: LeaseOptions): Promise<number> {
    const scope = options?.scope ?? "session";
    return this.#connection.call({
      command: { action: "lease", key, workerId, ttl: ttl ?? undefined, size: options?.size, scope },
      read: (reply) => reply.value,
      waitMs: options?.waitMs,
      signal: options?.signal,
    });
  }

  /** Frees what `workerId` holds of `key`; without `key` its only lease, with `*` all. Resolves to whether there was one.
   *  @throws {EphemeralError} `bad_command` naming the keys when it holds several and none is named, `not_owner` */
  release(workerId: string, key?: string): Promise<boolean> {
    return this.#call({ action: "release", workerId, key }, (reply) => reply.released);
  }

  /** The round trip to the broker, in milliseconds. */
  ping(): Promise<number> {
    const { clock } = this.#settings;
    const startedAtMs = clock.nowMs();
    return this.#call({ action: "ping" }, () => clock.nowMs() - startedAtMs);
  }

  /** Closes the connection for good; the broker frees what this client holds. Commands without an answer fail with
   *  `cancelled`. Idempotent. A process may also simply end: an idle client does not keep it. */
  close(): void {
    this.#connection.close();
  }

  async #storeSmaller(key: string, stored: Stored & { readonly text: string }): Promise<number> {
    const { smaller } = await import("./compressed.ts");
    return this.#store(key, { ...stored, ...(await smaller(stored.text, this.#settings.compressionThreshold)) });
  }

  #store(key: string, { member, options, sizes }: Stored): Promise<number> {
    const { scope, version } = options;
    const ttl = options.ttl ?? (scope === "session" ? undefined : this.#settings.defaultTtlMs);
    const command = { action: "set", key, value: member, ttl, if: options.if, version, scope, ...sizes } as const;
    return this.#call(command, (reply) => reply.version);
  }

  #call<Name extends CommandName, Result>(
    command: Outgoing<Name>,
    read: (reply: Reply<Name>) => Result,
  ): Promise<Result> {
    return this.#connection.call<Name, Result>({ command, read });
  }

  [disposeSymbol](): void {
    this.close();
  }

  async [asyncDisposeSymbol](): Promise<void> {
    this.close();
  }
}

/** What `set` sends: a value as a member of the command, and what goes with it. */
interface Stored {
  readonly member: unknown;
  readonly options: SetOptions;
  /** Of a compressed value, for the broker's metrics. */
  readonly sizes?: { readonly compressed: true; readonly beforeSize: number; readonly afterSize: number };
}
