/**
 * The paths of the web door that are plain HTTP: whether the broker lives and is ready, and a few commands for who has no
 * client. What they do, the commands know; who may ask at all, `visitors.ts`.
 */
import type { CommandName } from "../../protocol/commands.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import { decodeJson } from "../../protocol/json.ts";
import type { Limits } from "../../protocol/limits.ts";
import type { Connections } from "../connections/connections.ts";
import { authFailed } from "../gates/auth.ts";
import { type Log, reportInternal } from "../log/log.ts";
import { answer, commandAnswer, errorAnswer } from "./answers.ts";
import type { Credentials } from "./credentials.ts";
import type { FailedAddresses } from "./failed-addresses.ts";
import { exchange } from "./http-exchange.ts";

interface Route {
  readonly method: "GET" | "POST";
  readonly action: CommandName;
  /** What to show of the reply; all of it as JSON unless told. */
  readonly show?: (reply: string) => Response;
}

const routes = new Map<string, Route>([
  ["/metrics", { method: "GET", action: "metrics", show: prometheusAnswer }],
  ["/stats", { method: "GET", action: "stats" }],
  ["/channels", { method: "GET", action: "channels" }],
  ["/publish", { method: "POST", action: "publish" }],
  ["/send", { method: "POST", action: "send" }],
]);

export interface HttpDoorOptions {
  readonly connections: Connections;
  readonly limits: Limits;
  readonly credentials: Credentials;
  readonly failed: FailedAddresses;
  readonly log: Log | undefined;
}

export class HttpDoor {
  readonly #options: HttpDoorOptions;

  constructor(options: HttpDoorOptions) {
    this.#options = options;
  }

  has(path: string): boolean {
    return routes.has(path);
  }

  /** Answers a request for `path` that may ask. */
  async answer(
    request: Request,
    { path, address }: { readonly path: string; readonly address: string },
  ): Promise<Response> {
    try {
      return await this.#answer(request, { path, address });
    } catch (error) {
      if (error instanceof EphemeralError) return errorAnswer(error);
      reportInternal(this.#options.log, { error, action: routes.get(path)?.action });
      return errorAnswer(new EphemeralError("internal", "Cannot answer request: the broker failed inside"));
    }
  }

  async #answer(
    request: Request,
    { path, address }: { readonly path: string; readonly address: string },
  ): Promise<Response> {
    const { credentials, failed, connections, limits } = this.#options;
    const route = routes.get(path);
    if (route === undefined) throw new EphemeralError("not_found", "Cannot take request: there is no such path");
    if (request.method !== route.method) return wrongMethod(route);
    if (!credentials.admit(request.headers.get("Authorization"))) {
      failed.add(address);
      throw authFailed("Authorization must be Bearer with the token of this broker");
    }
    const { action, show = commandAnswer } = route;
    const fields = route.method === "POST" ? await readBody(request, limits.frameBytesMax) : {};
    return show(await exchange({ action, fields }, { connections, frameBytesMax: limits.frameBytesMax }));
  }
}

function wrongMethod({ method }: Route): Response {
  const response = errorAnswer(new EphemeralError("bad_command", `Cannot take request: wanted ${method}`), 405);
  response.headers.set("Allow", method);
  return response;
}

/** A form or a page of somebody else's cannot send this type without asking first.
 *  @throws {EphemeralError} `bad_command`, `too_large` or `invalid_json` */
async function readBody(request: Request, bytesMax: number): Promise<Record<string, unknown>> {
  const type = request.headers.get("Content-Type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/json") throw badBody("wanted Content-Type application/json");
  const length = request.headers.get("Content-Length");
  if (length === null) throw badBody("wanted a Content-Length");
  const tooLarge = (): EphemeralError =>
    new EphemeralError("too_large", `Cannot read body: it has over ${bytesMax} bytes, the limit`);
  if (Number(length) > bytesMax) throw tooLarge();
  const bytes = await request.bytes().catch(() => {
    throw badBody("the connection was cut before its end");
  });
  if (bytes.length > bytesMax) throw tooLarge();
  return decodeJson(bytes);
}

function badBody(actual: string): EphemeralError {
  return new EphemeralError("bad_command", `Cannot read body: ${actual}`);
}

function prometheusAnswer(reply: string): Response {
  const { metrics } = JSON.parse(reply) as { readonly metrics?: string };
  return metrics === undefined
    ? commandAnswer(reply)
    : answer(metrics, { type: "text/plain; version=0.0.4; charset=utf-8" });
}
