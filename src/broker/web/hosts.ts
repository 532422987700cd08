/**
 * Under which names the web door may be asked. A page of somebody else's whose name was made to point here (DNS rebinding)
 * comes under its own name, and is refused by that.
 */
import type { WebConfig } from "./web-config.ts";

const wildcards = ["0.0.0.0", "::"];
const addressForm = /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[\da-f:.]+\])$/;
const hostAndPort = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/;
/** That of a header that says none. */
const httpPort = "80";

export class Hosts {
  readonly #port: number;
  /** As they stand in the header: behind a proxy the port is another. */
  readonly #headers: ReadonlySet<string>;
  /** With our own port. */
  readonly #names: ReadonlySet<string>;
  readonly #anyAddress: boolean;

  constructor({ host, port, allowedHosts }: Pick<WebConfig, "host" | "port" | "allowedHosts">) {
    const isWildcard = wildcards.includes(host);
    const own = isWildcard ? ["127.0.0.1", "[::1]"] : [inUrl(host).toLowerCase()];
    const local = isWildcard || isLoopback(host) ? ["localhost"] : [];
    this.#port = port;
    this.#headers = new Set(allowedHosts);
    this.#names = new Set([...own, ...local, ...allowedHosts]);
    this.#anyAddress = isWildcard && allowedHosts.length === 0;
  }

  /** Whether a request with this `Host` is for us. Names are compared whole. */
  include(header: string | null): boolean {
    const text = header?.toLowerCase() ?? "";
    if (this.#headers.has(text)) return true;
    const [, name = "", port = httpPort] = hostAndPort.exec(text) ?? [];
    if (port !== String(this.#port)) return false;
    return this.#names.has(name) || (this.#anyAddress && addressForm.test(name));
  }
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

/** An address as it stands in a URL, where IPv6 has brackets. */
export function inUrl(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

/** Where a client of this machine finds a door that listens at `host`. */
export function dialledHost(host: string): string {
  if (!wildcards.includes(host)) return inUrl(host);
  return host === "::" ? "[::1]" : "127.0.0.1";
}
