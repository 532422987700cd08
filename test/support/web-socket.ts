/**
 * A WebSocket client without manners, over a bare TCP socket: sends any frame, whole, split or illegal, reads messages and close
 * frames, can stop reading. Knows frames and JSON, and answers nothing by itself.
 */
import { connect } from "node:net";

export type Message = Record<string, unknown>;

/** `code` undefined: the connection ended without a close frame. */
export interface Close {
  readonly code: number | undefined;
  readonly reason: string;
}

export interface WebSocketClient extends Disposable {
  /** Status and header lines of the answer to the upgrade. */
  readonly head: string;
  /** Writes bytes as they are. */
  write(bytes: Uint8Array): void;
  /** Sends text as one text frame, bytes as one binary frame. */
  send(data: string | Uint8Array): void;
  say(command: object): void;
  /** The next JSON object, or the next whole binary message under `bytes`; rejects when the connection closes first. */
  next(): Promise<Message>;
  ask(command: object): Promise<Message>;
  /** Resolves when the broker has closed. */
  readonly closed: Promise<Close>;
  readonly isClosed: boolean;
  /** Messages so far, by kind of frame. */
  readonly texts: number;
  readonly binaries: number;
  pause(): void;
  resume(): void;
}

export const opcodes = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

const mask = Buffer.of(0x12, 0x34, 0x56, 0x78);

/** One frame of a client, masked. */
export function clientFrame(opcode: number, payload: Uint8Array, { isLast = true } = {}): Buffer {
  const length = payload.length;
  const size = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const head = Buffer.alloc(2 + size);
  head[0] = (isLast ? 0x80 : 0) | opcode;
  head[1] = 0x80 | (size === 0 ? length : size === 2 ? 126 : 127);
  if (size === 2) head.writeUInt16BE(length, 2);
  if (size === 8) head.writeUInt32BE(length, 6);
  const masked = Buffer.from(payload);
  for (let index = 0; index < length; index++) masked[index] = (masked[index] ?? 0) ^ (mask[index % 4] ?? 0);
  return Buffer.concat([head, mask, masked]);
}

/** The first frame in `bytes`, if it is whole. */
function frameIn(bytes: Buffer): { opcode: number; payload: Buffer; bytes: number } | undefined {
  if (bytes.length < 2) return undefined;
  const short = (bytes[1] ?? 0) & 0x7f;
  const headBytes = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (bytes.length < headBytes) return undefined;
  const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? bytes.readUInt32BE(6) : short;
  if (bytes.length < headBytes + length) return undefined;
  return {
    opcode: (bytes[0] ?? 0) & 0x0f,
    payload: bytes.subarray(headBytes, headBytes + length),
    bytes: headBytes + length,
  };
}

/** Dials `url` and asks for the upgrade; `headers` replace ours where they have the same name, and null leaves one out. */
export async function webSocketClient(
  url: string | undefined,
  headers: Readonly<Record<string, string | null>> = {},
): Promise<WebSocketClient> {
  const { hostname, port, host, pathname, search } = new URL(url ?? "");
  const sent = {
    Host: host,
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    ...headers,
  };
  const lines = Object.entries(sent).flatMap(([name, value]) => (value === null ? [] : `${name}: ${value}\r\n`));
  const socket = connect(Number(port), hostname.replace(/[[\]]/g, ""));
  const upgraded = Promise.withResolvers<string>();
  const closed = Promise.withResolvers<Close>();
  const messages: Message[] = [];
  const readers: PromiseWithResolvers<Message>[] = [];
  const counts = { text: 0, binary: 0 };
  let close: Close = { code: undefined, reason: "" };
  let isClosed = false;
  let head = "";
  let unread: Buffer[] = [];

  const deliver = (message: Message): void => {
    const reader = readers.shift();
    if (reader === undefined) messages.push(message);
    else reader.resolve(message);
  };
  const take = (opcode: number, payload: Buffer): void => {
    if (opcode === opcodes.close) {
      close = payload.length < 2 ? close : { code: payload.readUInt16BE(0), reason: payload.toString("utf8", 2) };
    } else if (opcode === opcodes.text) {
      counts.text++;
      for (const line of payload.toString().split("\n")) deliver(JSON.parse(line) as Message);
    } else {
      counts.binary++;
      deliver({ bytes: Buffer.from(payload) });
    }
  };
  const read = (): void => {
    let bytes = Buffer.concat(unread);
    if (head === "") {
      const end = bytes.indexOf("\r\n\r\n");
      if (end >= 0) {
        head = bytes.toString("latin1", 0, end);
        bytes = bytes.subarray(end + 4);
        upgraded.resolve(head);
      }
    }
    if (head.startsWith("HTTP/1.1 101")) {
      for (let frame = frameIn(bytes); frame !== undefined; frame = frameIn(bytes)) {
        take(frame.opcode, frame.payload);
        bytes = bytes.subarray(frame.bytes);
      }
    }
    unread = [bytes];
  };
  const ended = (): void => {
    isClosed = true;
    upgraded.resolve(head);
    closed.resolve(close);
    for (const reader of readers.splice(0))
      reader.reject(new Error(`the broker closed: ${close.code} ${close.reason}`));
  };
  socket.on("data", (chunk: Buffer) => {
    unread.push(chunk);
    // Joining what has come again and again would cost its square.
    if (unread.length === 1 || chunk.length < 65_536 || frameIn(Buffer.concat(unread)) !== undefined) read();
  });
  socket.on("error", () => {});
  socket.once("end", ended);
  socket.once("close", ended);
  socket.write(`GET ${pathname}${search} HTTP/1.1\r\n${lines.join("")}\r\n`);
  await upgraded.promise;

  const write = (bytes: Uint8Array): void => void socket.write(bytes);
  const send = (data: string | Uint8Array): void =>
    write(clientFrame(typeof data === "string" ? opcodes.text : opcodes.binary, Buffer.from(data as string)));
  const next = (): Promise<Message> => {
    const message = messages.shift();
    if (message !== undefined) return Promise.resolve(message);
    if (isClosed) return Promise.reject(new Error(`the broker has closed: ${close.code} ${close.reason}`));
    const reader = Promise.withResolvers<Message>();
    readers.push(reader);
    return reader.promise;
  };
  const say = (command: object): void => send(JSON.stringify(command));
  return {
    head,
    write,
    send,
    say,
    next,
    ask: (command) => {
      say(command);
      return next();
    },
    closed: closed.promise,
    get isClosed() {
      return isClosed;
    },
    get texts() {
      return counts.text;
    },
    get binaries() {
      return counts.binary;
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

/** A client that has said hello with the token of `broker`. */
export async function greetedClient(
  broker: { readonly url: string | undefined; readonly token: string | undefined },
  greeting: object = {},
): Promise<WebSocketClient & { readonly hello: Message }> {
  const client = await webSocketClient(broker.url);
  const hello = await client.ask({ action: "hello", protocol: 1, token: broker.token, ...greeting });
  if (hello.ok !== true) throw new Error(`hello was refused: ${hello.error}`);
  return Object.assign(client, { hello });
}
