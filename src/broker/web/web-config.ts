/**
 * What a broker is told of its web door, checked: where it listens, whose pages and under which names it is asked, and what
 * lets a client in. Small, as every broker loads it; the door itself is loaded where there is one.
 */
import { EphemeralError } from "../../protocol/errors.ts";

/** Nothing but `port` opens a web door; the others say how. */
export interface WebOptions {
  /** The TCP port of the web door; 0 takes a free one. */
  readonly port?: number | undefined;
  /** The address it listens at: 127.0.0.1 unless told. `0.0.0.0` and `::` are all of them. */
  readonly host?: string | undefined;
  /** Origins whose pages may connect, besides the door's own, exactly as browsers send them. */
  readonly allowedOrigins?: readonly string[] | undefined;
  /** Names, with or without a port, by which the door may be asked besides its own. */
  readonly allowedHosts?: readonly string[] | undefined;
  /** What clients have to show; made by chance unless told, or unless there is a secret. */
  readonly token?: string | undefined;
  /** Lets in whoever can reach the port. */
  readonly insecureNoAuth?: boolean | undefined;
}

export interface WebConfig {
  readonly port: number;
  readonly host: string;
  readonly allowedOrigins: readonly string[];
  readonly allowedHosts: readonly string[];
  readonly token: string | undefined;
  readonly insecureNoAuth: boolean;
}

const defaultHost = "127.0.0.1";
const portMax = 65_535;
const tokenCharactersMin = 32;
const hostForm = /^[\w.-]+$|^[\da-f:.]*:[\da-f:.]*$/i;
const hostHeaderForm = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d+)?$/i;
const originForm = /^[a-z][a-z0-9+.-]*:\/\/[^/?#@\s*]+$/;

/** Undefined where there is no web door.
 *  @throws {EphemeralError} `bad_command` naming the option that cannot be
 *  @internal */
export function webConfig(options: WebOptions, secret: string | undefined): WebConfig | undefined {
  const { port, token, insecureNoAuth = false } = options;
  if (port === undefined) {
    refuseWithoutPort(options);
    return undefined;
  }
  if (!Number.isSafeInteger(port) || port < 0 || port > portMax)
    throw refusal(`wanted a port from 0 to ${portMax}, got ${port}`);
  const host = options.host ?? defaultHost;
  if (!hostForm.test(host)) throw refusal(`wanted an address or a name as host, got "${host}"`);
  if (token !== undefined && token.length < tokenCharactersMin)
    throw refusal(`wanted a token of at least ${tokenCharactersMin} characters, got ${token.length}`);
  const ways = [
    secret !== undefined && "a secret",
    token !== undefined && "a token",
    insecureNoAuth && "no authentication",
  ];
  const chosen = ways.filter((way) => way !== false);
  if (chosen.length > 1) throw refusal(`wanted one way to let clients in, got ${chosen.join(" and ")}`);
  return Object.freeze({
    port,
    host,
    allowedOrigins: (options.allowedOrigins ?? []).map(checkedOrigin),
    allowedHosts: (options.allowedHosts ?? []).map(checkedHost),
    token,
    insecureNoAuth,
  });
}

function refuseWithoutPort({ host, allowedOrigins, allowedHosts, token, insecureNoAuth }: WebOptions): void {
  const given = { host, allowedOrigins, allowedHosts, token, insecureNoAuth: insecureNoAuth || undefined };
  const name = Object.entries(given).find(([, value]) => value !== undefined)?.[0];
  if (name !== undefined) throw refusal(`${name} is for a web door, and no port is given`);
}

/** As browsers send it: lower case, without the port that goes without saying, without a path. */
function checkedOrigin(origin: string): string {
  const isWeb = /^https?:/.test(origin);
  if (originForm.test(origin) && (!isWeb || URL.parse(origin)?.origin === origin)) return origin;
  throw refusal(`wanted an origin as browsers send it, like https://example.com:8443, got "${origin}"`);
}

function checkedHost(host: string): string {
  if (hostHeaderForm.test(host)) return host.toLowerCase();
  throw refusal(`wanted a host with or without a port, like example.com:8443, got "${host}"`);
}

function refusal(actual: string): EphemeralError {
  return new EphemeralError("bad_command", `Cannot start broker: ${actual}`);
}
