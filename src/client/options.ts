/**
 * What a client can be told, read once: the caller's options first, then the environment, then the defaults. After this
 * nobody asks again.
 */
import type { ClientCodec } from "../protocol/codec.ts";
import { EphemeralError, type ErrorCode } from "../protocol/errors.ts";
import { KiB } from "../protocol/sizes.ts";
import { type ClientClock, systemClientClock } from "./client-clock.ts";
import type { LostHold } from "./connection/holds.ts";
import { readEnvironment } from "./environment.ts";
import { json } from "./json-codec.ts";
import type { Transport } from "./transports/transport.ts";
import type { WebSocketClass } from "./transports/websocket-transport.ts";

export interface ClientOptions {
  /** What broker and client both know; else `CLIENT_SECRET`, `EPHEMERAL_SECRET`. Null is the same as leaving it out. */
  readonly secret?: string | null | undefined;
  /** What a broker's URL asks for; else `EPHEMERAL_TOKEN`. Said once to the broker, in no URL. With it no secret is needed. */
  readonly token?: string | undefined;
  /** The class for `ws:` and `wss:` where there is none of that name, as in Node before 22: that of the package `ws`. */
  readonly webSocket?: WebSocketClass | undefined;
  /** Who this is, for people: shown where this client holds or waits. Else `EPHEMERAL_LABEL`,
   *  else the test file or script that this process runs. */
  readonly label?: string | undefined;
  /** How long a command may take, connecting included; a waiting command: connecting alone. Else `CLIENT_TIMEOUT`, 5000. */
  readonly timeoutMs?: number | undefined;
  /** The seed's name for `timeoutMs`. */
  readonly timeout?: number | undefined;
  /** The time to live of what is set without one: 30 minutes. */
  readonly defaultTtlMs?: number | undefined;
  /** Whether large values are gzipped, as the seed's clients do; else `CLIENT_COMPRESSION`, false. Compressed values are
   *  read either way. Gzipping takes a moment: commands issued meanwhile may overtake the `set`. */
  readonly compression?: boolean | undefined;
  /** From how many characters of JSON on; else `CLIENT_COMPRESSION_THRESHOLD`, 1024. */
  readonly compressionThreshold?: number | undefined;
  /** How long the broker keeps what this client holds after its connection was cut, for the client to come back to: up to
   *  60,000 ms; 0 unless told, over a WebSocket 5000. A process that dies keeps what it holds as long from everybody else. */
  readonly lingerMs?: number | undefined;
  /** Told of what was held and is gone, though nobody released it and its time was not over: the connection was cut and the
   *  session could not go on. Somebody else may hold it now. */
  readonly onLost?: ((holds: readonly LostHold[]) => void) | undefined;
  /** JSON lines, or `msgpack` of `ephemerald/msgpack`: worth it for values that are bytes. */
  readonly codec?: ClientCodec | undefined;
  /** Time and chance, for tests. */
  readonly clock?: ClientClock | undefined;
  /** What carries the bytes of one connection: the pipe unless told. */
  readonly dial?: (() => Transport | Promise<Transport>) | undefined;
}

/** @internal */
export interface ClientSettings {
  /** The broker's, or its URL. */
  readonly endpoint: string;
  readonly isUrl: boolean;
  readonly token: string | undefined;
  readonly webSocket: WebSocketClass | undefined;
  readonly secret: string | undefined;
  /** Unless told, what this process is. */
  readonly label: string | undefined;
  readonly timeoutMs: number;
  readonly defaultTtlMs: number;
  /** From how many characters on values are compressed; Infinity for never. */
  readonly compressionThreshold: number;
  readonly lingerMs: number | undefined;
  readonly onLost: ClientOptions["onLost"];
  readonly codec: ClientCodec;
  readonly clock: ClientClock;
  readonly dial: ClientOptions["dial"];
}

const defaultTimeoutMs = 5000;
const defaultTtlMs = 30 * 60 * 1000;
const defaultCompressionThreshold = 1 * KiB;
const webLingerMs = 5000;
const lingerMsMax = 60_000;
/** What a timer can be set to. A longer ttl than a broker takes is left to the broker to refuse. */
const millisecondsMax = 2 ** 31 - 1;

/** @throws {EphemeralError} `unavailable` when neither the caller nor the environment names a pipe, `bad_command` naming the
 *  option or variable that cannot be
 *  @internal */
export function clientSettings(pipe: string | undefined, options: ClientOptions): ClientSettings {
  const environment = readEnvironment();
  const endpoint = pipe || environment.pipe || environment.url;
  if (endpoint === undefined) {
    const text =
      "no pipe was given, and neither EPHEMERAL_PIPE nor EPHEMERAL_URL is set. Run under a broker: ephemeral start -- <command>";
    throw refusal(text, "unavailable");
  }
  if (/^https?:/.test(endpoint)) throw refusal("wanted a pipe or a URL of ws: or wss:, got http:");
  const isUrl = /^wss?:/.test(endpoint);
  const token = isUrl ? (options.token ?? environment.token) : undefined;
  // The environment's is that of the broker the environment names.
  const isOfEnvironment = options.dial === undefined && token === undefined;
  const secret = options.secret ?? (isOfEnvironment ? environment.secret : undefined);
  if (secret === "" || token === "") {
    const name = token === "" ? "token" : "secret";
    throw refusal(`the ${name} is empty; give one or leave it out`);
  }
  const isCompressing = options.compression ?? environment.compression;
  const threshold = options.compressionThreshold ?? environment.compressionThreshold ?? defaultCompressionThreshold;
  const lingerMs = readMs("lingerMs", options.lingerMs ?? (isUrl ? webLingerMs : 0), { min: 0, max: lingerMsMax });
  const timeoutMs = options.timeoutMs ?? options.timeout ?? environment.timeoutMs ?? defaultTimeoutMs;
  return {
    endpoint,
    isUrl,
    token,
    webSocket: options.webSocket,
    secret,
    label: options.label ?? environment.label,
    timeoutMs: readMs("timeoutMs", timeoutMs),
    defaultTtlMs: readMs("defaultTtlMs", options.defaultTtlMs ?? defaultTtlMs),
    compressionThreshold: isCompressing ? threshold : Number.POSITIVE_INFINITY,
    // On a pipe 0 goes without saying, and then nothing waits for the broker's greeting.
    lingerMs: isUrl ? lingerMs : lingerMs || undefined,
    onLost: options.onLost,
    codec: options.codec ?? json,
    clock: options.clock ?? systemClientClock,
    dial: options.dial,
  };
}

function readMs(name: string, value: number, { min, max } = { min: 1, max: millisecondsMax }): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  const actual = typeof value === "number" ? value : typeof value;
  throw refusal(`${name} should be ${min} to ${max} ms, it is ${actual}`);
}

function refusal(reason: string, code: ErrorCode = "bad_command"): EphemeralError {
  return new EphemeralError(code, `Cannot make a client: ${reason}`);
}
