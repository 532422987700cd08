/**
 * Everything a broker is told when it starts, with the defaults, checked once and frozen. Knows neither argv nor the
 * environment: `src/cli/settings/settings.ts` turns those into this.
 */
import { EphemeralError } from "../protocol/errors.ts";
import { assertLimits, defaultLimits, type Limits } from "../protocol/limits.ts";
import { brokerNameForm, isBrokerName } from "./broker-name.ts";
import type { Log } from "./log/log.ts";
import { type WebConfig, type WebOptions, webConfig } from "./web/web-config.ts";

export interface BrokerConfig {
  /** Folder that holds the run directories of this user; made private when missing. */
  readonly runRoot: string;
  /** By which others find this broker; undefined takes one by chance. One living broker of this user has it. */
  readonly name: string | undefined;
  /** How long the broker may be without a connection before it asks to be ended; 0 for as long as it takes. */
  readonly idleTimeoutMs: number;
  /** Shared by every client that may talk to this broker; undefined admits every process of this user. */
  readonly secret: string | undefined;
  /** The time to live of what is stored without one, where that is allowed. */
  readonly defaultTtlMs: number;
  /** Whether `set` without a ttl is refused (`ttl_required`). */
  readonly requireTtl: boolean;
  /** Whether a `get` that does not say gives the key its ttl once more. */
  readonly refreshTtlOnGet: boolean;
  readonly limits: Limits;
  /** Told what happens. Undefined: nothing is told, but for a bug of ours, which goes to stderr. */
  readonly log: Log | undefined;
  /** How clients come in by WebSocket; undefined: they do not. */
  readonly web: WebConfig | undefined;
  /** How often the log is told that the broker lives, and how it is; undefined for never. */
  readonly heartbeatMs: number | undefined;
}

/** What may be left out, limits one by one too. */
export type BrokerOptions = Partial<Omit<BrokerConfig, "limits" | "web">> &
  WebOptions & { readonly limits?: Partial<Limits> };

/** 30 minutes, as the seed had it. */
export const defaultTtlMs = 30 * 60 * 1000;

/** Fills in the defaults and checks the whole. Fields given as undefined take the default.
 *  @throws {EphemeralError} `bad_command` naming the option that cannot be
 *  @internal */
export function brokerConfig(options: BrokerOptions & { readonly runRoot: string }): BrokerConfig {
  if (options.secret === "") {
    throw new EphemeralError(
      "bad_command",
      "Cannot start broker: the secret is empty; give one or leave the option out",
    );
  }
  if (options.name !== undefined && !isBrokerName(options.name)) {
    throw new EphemeralError(
      "bad_command",
      `Cannot start broker: wanted a name of ${brokerNameForm}, got "${options.name}"`,
    );
  }
  const idleTimeoutMs = options.idleTimeoutMs ?? 0;
  if (!Number.isSafeInteger(idleTimeoutMs) || idleTimeoutMs < 0) {
    throw new EphemeralError(
      "bad_command",
      `Cannot start broker: idle timeout is ${idleTimeoutMs} ms, wanted 0 (never) or more`,
    );
  }
  const limits: Limits = Object.freeze({ ...defaultLimits, ...options.limits });
  assertLimits(limits);
  const ttlMs = options.defaultTtlMs ?? defaultTtlMs;
  if (!Number.isSafeInteger(ttlMs) || ttlMs < 1 || ttlMs > limits.ttlMsMax) {
    throw new EphemeralError(
      "bad_command",
      `Cannot start broker: default ttl is ${ttlMs} ms, wanted 1 to ${limits.ttlMsMax}`,
    );
  }
  return Object.freeze({
    runRoot: options.runRoot,
    name: options.name,
    idleTimeoutMs,
    secret: options.secret,
    defaultTtlMs: ttlMs,
    requireTtl: options.requireTtl ?? true,
    refreshTtlOnGet: options.refreshTtlOnGet ?? false,
    limits,
    log: options.log,
    web: webConfig(options, options.secret),
    heartbeatMs: options.heartbeatMs,
  });
}
