/**
 * Who may ask at the web door at all: under our name, from a page of ours or from no page, without a secret in the address,
 * and not from where too many wrong ones came. Knows nothing of what is asked.
 */
import { EphemeralError } from "../../protocol/errors.ts";
import { errorAnswer } from "./answers.ts";
import type { FailedAddresses } from "./failed-addresses.ts";
import { Hosts } from "./hosts.ts";
import type { WebConfig } from "./web-config.ts";

export interface VisitorsOptions {
  /** With the port that the door has got. */
  readonly config: WebConfig;
  readonly failed: FailedAddresses;
}

export class Visitors {
  readonly #hosts: Hosts;
  readonly #origins: ReadonlySet<string>;
  readonly #failed: FailedAddresses;

  constructor({ config, failed }: VisitorsOptions) {
    this.#hosts = new Hosts(config);
    this.#origins = new Set(config.allowedOrigins);
    this.#failed = failed;
  }

  /** The refusal of a request from `address`; undefined when it may ask. */
  refuse({ headers, url }: Pick<Request, "headers" | "url">, address: string): Response | undefined {
    const host = headers.get("Host");
    if (!this.#hosts.include(host)) return forbidden("the Host header names none of this broker's own (--allow-host)");
    if (!this.#mayCome(headers.get("Origin"), host))
      return forbidden("pages of this Origin are not let in (--allow-origin)");
    // Addresses are logged and remembered everywhere, so whatever is secret must not be in one: we take no queries at all.
    if (url.includes("?"))
      return refusal("bad_command", "it has a query; a token goes into hello, or into Authorization");
    const tooManyFailures = this.#failed.refusal(address);
    return tooManyFailures && errorAnswer(tooManyFailures);
  }

  /** Who sends no Origin is no browser. Ours are pages that this very door has served. */
  #mayCome(origin: string | null, host: string | null): boolean {
    return origin === null || this.#origins.has(origin) || origin === `http://${host?.toLowerCase()}`;
  }
}

function forbidden(actual: string): Response {
  return refusal("forbidden", actual);
}

function refusal(code: "forbidden" | "bad_command", actual: string): Response {
  return errorAnswer(new EphemeralError(code, `Cannot take request: ${actual}`));
}
