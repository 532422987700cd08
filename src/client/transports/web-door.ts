/**
 * The way to a broker by its URL: makes a WebSocket for each attempt and answers the broker that asks whether we are there.
 * Loaded when a client of a URL first dials.
 */
import { EphemeralError } from "../client.ts";
import type { Connection } from "../connection/connection.ts";
import type { PushListener } from "../connection/push-listeners.ts";
import type { ClientSettings } from "../options.ts";
import { jsonWebFraming } from "./web-framing.ts";
import { type WebSocketClass, WebSocketTransport } from "./websocket-transport.ts";

/** Added to the interval at which the broker asks, before its silence is taken for its death. */
const silenceMarginMs = 10_000;

export class WebDoor implements PushListener {
  readonly #settings: ClientSettings;
  readonly #connection: Connection;
  #transport: WebSocketTransport | undefined;

  constructor(settings: ClientSettings, connection: Connection) {
    this.#settings = settings;
    this.#connection = connection;
    connection.pushListeners.add(this);
  }

  /** @throws {EphemeralError} `bad_command` where there are no WebSockets */
  dial(): WebSocketTransport {
    const { endpoint: url, clock, codec } = this.#settings;
    // Node before 22 has none.
    const WebSocket = this.#settings.webSocket ?? (globalThis.WebSocket as WebSocketClass | undefined);
    if (WebSocket === undefined) {
      throw new EphemeralError(
        "bad_command",
        `Cannot connect to ${url}: there is no WebSocket here; hand in that of the package ws: new Client(url, { webSocket: WebSocket })`,
      );
    }
    const silenceMsMax = (): number =>
      (this.#connection.hello?.pingIntervalMs ?? Number.POSITIVE_INFINITY) + silenceMarginMs;
    const framing = codec.webFraming ?? jsonWebFraming;
    this.#transport = new WebSocketTransport({ url, WebSocket, framing, clock, silenceMsMax });
    return this.#transport;
  }

  push(push: Readonly<Record<string, unknown>>): void {
    if (push.push === "ping") this.#transport?.pong();
  }

  cut(): void {
    this.#transport = undefined;
  }
}
