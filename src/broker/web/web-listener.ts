/**
 * The web door: WebSockets at `/ws` and a few paths of plain HTTP, behind the same look at who asks. Turns the runtime's
 * events into clients. Knows nothing of frames or commands.
 */

import type { Server } from "bun";
import type { Clock } from "../../engine/clock.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import { MiB } from "../../protocol/sizes.ts";
import type { BrokerConfig } from "../config.ts";
import { tooManyConnections } from "../connections/connections.ts";
import type { BrokerCore } from "../core.ts";
import { answer, errorAnswer } from "./answers.ts";
import { Credentials } from "./credentials.ts";
import { FailedAddresses } from "./failed-addresses.ts";
import { dialledHost } from "./hosts.ts";
import { HttpDoor } from "./http-door.ts";
import { LastText } from "./last-text.ts";
import { chooseSubprotocol, subprotocolNames } from "./subprotocols.ts";
import { Visitors } from "./visitors.ts";
import { Watchman } from "./watchman.ts";
import { WebClient, type WebClientParts } from "./web-client.ts";
import type { WebConfig } from "./web-config.ts";

export interface WebDoorOptions {
  readonly web: WebConfig;
  readonly config: BrokerConfig;
  readonly core: Pick<BrokerCore, "connections" | "lifetime">;
  readonly clock: Clock;
}

export interface WebDoor {
  /** For clients on this machine. */
  readonly url: string;
  readonly token: string | undefined;
  /** Closes the port. Whoever is still connected has a moment to read why. */
  stop(): Promise<void>;
}

/** How long stopping waits for clients to read what was said to them last. */
const farewellMs = 1000;
/** What a client may put into one message at least. */
const messageBytesMin = 1 * MiB;

/** Listens. The port answers when this returns.
 *  @throws {EphemeralError} `unavailable` or `forbidden` when the port cannot be had */
export function openWebDoor(options: WebDoorOptions): WebDoor {
  const door = new Door(options);
  const { web } = options;
  return {
    url: `ws://${dialledHost(web.host)}:${door.port}/ws`,
    token: door.token,
    stop: () => door.stop(),
  };
}

class Door {
  readonly #options: WebDoorOptions;
  readonly #credentials: Credentials;
  readonly #watchman: Watchman;
  readonly #clientParts: WebClientParts;
  readonly #http: HttpDoor;
  readonly #visitors: Visitors;
  readonly #server: Server<WebClient>;

  constructor(options: WebDoorOptions) {
    const { web, config, core, clock } = options;
    const { limits, log, secret } = config;
    const failed = new FailedAddresses({ clock, failuresMax: limits.authFailuresPerMinuteMax });
    this.#options = options;
    this.#credentials = new Credentials(web, secret);
    this.#watchman = new Watchman({ clock, limits });
    this.#clientParts = {
      watchman: this.#watchman,
      failed,
      lastText: new LastText(),
      frameBytesMax: limits.frameBytesMax,
    };
    const { connections } = core;
    this.#http = new HttpDoor({ connections, limits, credentials: this.#credentials, failed, log });
    this.#server = this.#listen();
    this.#visitors = new Visitors({ config: { ...web, port: this.port }, failed });
  }

  get port(): number {
    return this.#server.port ?? 0;
  }

  get token(): string | undefined {
    return this.#credentials.token;
  }

  async stop(): Promise<void> {
    this.#watchman.stop();
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, farewellMs);
    await Promise.race([this.#server.stop(), late]);
    clearTimeout(timer);
    await this.#server.stop(true);
  }

  /** Who has dialled and not asked is not counted: the runtime tells of no connection before the head of its request is whole. It
   *  closes those after 12 s, however slowly they say it, and what bounds their number is the process's descriptors. */
  #listen(): Server<WebClient> {
    const { web, config } = this.#options;
    const { frameBytesMax, outboxBytesMax } = config.limits;
    try {
      return Bun.serve<WebClient>({
        hostname: web.host,
        port: web.port,
        // What is too large for us is refused by us, with a reason; the runtime only closes.
        maxRequestBodySize: 2 * frameBytesMax,
        development: false,
        // Otherwise whoever else asks for the port shares it: the runtime takes `development: false` for that.
        reusePort: false,
        fetch: (request, server) => this.#fetch(request, server),
        websocket: {
          // One message holds many objects, however small each of them is to be.
          maxPayloadLength: frameBytesMax + messageBytesMin,
          backpressureLimit: 4 * outboxBytesMax,
          perMessageDeflate: false,
          idleTimeout: 0,
          sendPings: false,
          open: (socket) => socket.data.opened(socket, (client) => this.#connect(client)),
          message: (socket, message) => socket.data.received(message),
          drain: (socket) => socket.data.drained(),
          close: (socket) => socket.data.closed(),
        },
      });
    } catch (error) {
      throw cannotListen(web, error);
    }
  }

  async #fetch(request: Request, server: Server<WebClient>): Promise<Response | undefined> {
    const path = URL.parse(request.url)?.pathname ?? "";
    const address = server.requestIP(request)?.address ?? "";
    const response = await this.#answer(request, { path, address });
    const { log } = this.#options.config;
    // A path of a stranger's may hold anything: only those we know are told.
    if (this.#has(path))
      log?.debug("request answered", { method: request.method, path, status: response?.status, address });
    return response;
  }

  #has(path: string): boolean {
    return path === "/healthz" || path === "/readyz" || path === "/ws" || this.#http.has(path);
  }

  /** Undefined when the request has become a WebSocket. */
  async #answer(
    request: Request,
    asked: { readonly path: string; readonly address: string },
  ): Promise<Response | undefined> {
    const { path, address } = asked;
    if (path === "/healthz") return answer("ok\n");
    if (path === "/readyz") return this.#readiness();
    const refusal = this.#visitors.refuse(request, address);
    if (refusal !== undefined) return refusal;
    return path === "/ws" ? this.#upgrade(request, address) : this.#http.answer(request, asked);
  }

  #readiness(): Response {
    const { state } = this.#options.core.lifetime;
    return state === "running" ? answer("ready\n") : answer(`${state}\n`, { status: 503 });
  }

  #upgrade(request: Request, address: string): Response | undefined {
    const { connections } = this.#options.core;
    const { helloBytesMax, frameBytesMax } = this.#options.config.limits;
    if (connections.isFull) return errorAnswer(tooManyConnections(connections.size));
    const subprotocol = chooseSubprotocol(request.headers.get("Sec-WebSocket-Protocol"));
    if (subprotocol === undefined) return badRequest(`wanted a subprotocol of ${subprotocolNames.join(", ")}`);
    const gate = this.#credentials.gateAt(request.headers.get("Host"));
    const client = new WebClient(this.#clientParts, {
      wire: subprotocol.wire(Math.min(helloBytesMax, frameBytesMax)),
      gate: this.#clientParts.failed.guard(gate, address),
      address,
    });
    const headers = subprotocol.name === undefined ? undefined : { "Sec-WebSocket-Protocol": subprotocol.name };
    if (this.#server.upgrade(request, { data: client, ...(headers && { headers }) })) return undefined;
    return badRequest("wanted the opening of a WebSocket");
  }

  #connect(client: WebClient) {
    const { wire, gate } = client;
    return this.#options.core.connections.open(client, { door: "web", pid: undefined, wire, gate, doorkeeper: client });
  }
}

function badRequest(actual: string): Response {
  return errorAnswer(new EphemeralError("bad_command", `Cannot take request: ${actual}`));
}

function cannotListen({ host, port }: WebConfig, error: unknown): EphemeralError {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const reason = code === "EADDRINUSE" ? "it is taken" : error instanceof Error ? error.message : String(error);
  const kind = code === "EACCES" || code === "EPERM" ? "forbidden" : "unavailable";
  const text = `Cannot start broker: cannot listen at port ${port} of ${host}: ${reason}`;
  return new EphemeralError(kind, text, { details: { port } });
}
