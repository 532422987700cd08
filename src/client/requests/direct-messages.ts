/**
 * Requests and events, as the client's callers see them: who answers which method, who listens to which event, and the answers
 * on their way back. Loaded with the first of their calls. Knows nothing of frames.
 */
import type { Addressee, EventPush, RequestCommands, RequestPush } from "../../protocol/requests.ts";
import { EphemeralError } from "../client.ts";
import type { Connection } from "../connection/connection.ts";
import type { PushListener } from "../connection/push-listeners.ts";
import { type Standing, Standings } from "../connection/standings.ts";
import type { EventListener, RequestHandler, RequestOptions, Requests, Service, StandingOptions } from "./requests.ts";

/** A reason is for people; longer ones are cut. */
const reasonCharactersMax = 2000;

interface Hearing {
  readonly event: string;
  readonly listener: EventListener;
}

export class DirectMessages implements Requests, PushListener {
  readonly #connection: Connection;
  readonly #standings: Standings<Standing>;
  readonly #handlers = new Map<string, RequestHandler>();
  readonly #hearings = new Set<Hearing>();
  /** Numbers of the requests that are being answered: the broker may push one again meanwhile. */
  readonly #answering = new Set<number>();

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#standings = new Standings(connection);
    connection.pushListeners.add(this);
  }

  async serve<Data>(method: string, handler: RequestHandler<Data>, options: StandingOptions = {}): Promise<Service> {
    if (this.#handlers.has(method)) {
      const text = `Cannot serve ${JSON.stringify(method)}: this client serves it already`;
      throw new EphemeralError("bad_command", text);
    }
    // What is asked is the caller's to know; a codec cannot tell.
    this.#handlers.set(method, handler as RequestHandler);
    const ended = (): void => void this.#handlers.delete(method);
    const opening = { action: "serve", method, stop: undefined } as const;
    const standing = { ...options, opening, ended, isOpen: false };
    await this.#standings.start(standing);
    let stopping: Promise<void> | undefined;
    const stop = async (): Promise<void> => {
      const command = { action: "serve", method, stop: true } as const;
      // Where the broker cannot be told, it asks us nothing either. What it asked before it knew is still answered.
      await this.#connection.call({ command }).catch(() => {});
      this.#standings.end(standing);
    };
    return {
      method,
      stop() {
        stopping ??= stop();
        return stopping;
      },
    };
  }

  async onEvent<Data>(
    event: string,
    listener: EventListener<Data>,
    options: StandingOptions = {},
  ): Promise<() => void> {
    // As with `serve`.
    const hearing = { event, listener: listener as EventListener };
    const ended = (): void => void this.#hearings.delete(hearing);
    // Any command would do: all it needs is a connection.
    const standing = { ...options, opening: { action: "ping" }, ended, isOpen: false } as const;
    await this.#standings.start(standing);
    this.#hearings.add(hearing);
    return () => void this.#standings.end(standing);
  }

  async request<Answer>(method: string, data?: unknown, { to, waitMs, signal }: RequestOptions = {}): Promise<Answer> {
    const { codec } = this.#connection;
    return this.#connection.call({
      command: { action: "request", method, data: codec.toMember(data ?? null), to },
      // What is answered is the caller's to know, too.
      read: (reply) => codec.fromMember(reply.data) as Answer,
      waitMs,
      signal,
    });
  }

  async send(to: Addressee, event: string, data?: unknown): Promise<number> {
    const command = { action: "send", to, event, data: this.#connection.codec.toMember(data ?? null) } as const;
    return this.#connection.call({ command, read: (reply) => reply.receivers });
  }

  push(push: Readonly<Record<string, unknown>>): void {
    // Both sides take the shapes from `requests.ts`, and the peer is the broker that owns our socket.
    if (push.push === "request") void this.#answer(push as unknown as RequestPush);
    else if (push.push === "event") this.#tell(push as unknown as EventPush);
  }

  cut(): void {
    this.#standings.cut();
  }

  async #answer({ request, method, data, from }: RequestPush): Promise<void> {
    if (this.#answering.has(request)) return;
    this.#answering.add(request);
    const { codec } = this.#connection;
    try {
      const handler = this.#handlers.get(method) ?? notServed;
      const answer = await handler(codec.fromMember(data), { from });
      await this.#respond({ request, data: codec.toMember(answer ?? null) });
    } catch (error) {
      const failure = (error instanceof Error ? error.message : `${error}`).slice(0, reasonCharactersMax);
      // Where even that cannot be said, the broker misses us and tells who asked.
      await this.#respond({ request, failure }).catch(() => {});
    }
    this.#answering.delete(request);
  }

  #respond(answer: RequestCommands["respond"]["request"]): Promise<void> {
    return this.#connection.call({ command: { action: "respond", ...answer } });
  }

  /** What a listener throws is its own: it ends no connection, and is not lost either. */
  #tell({ event, data: member, from }: EventPush): void {
    const data = this.#connection.codec.fromMember(member);
    for (const hearing of this.#hearings) {
      if (hearing.event !== event) continue;
      queueMicrotask(() => {
        if (this.#hearings.has(hearing) && this.#connection.state !== "closed") hearing.listener(data, { from });
      });
    }
  }
}

/** A session that goes on may be asked what its client gave up meanwhile. */
function notServed(): never {
  throw new EphemeralError("bad_command", "its process does not serve it any more");
}
