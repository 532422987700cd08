/**
 * How readers and a writer speak to a server that fans messages out: the bytes, and nothing more, so that every contestant's
 * clients cost the same. What comes back is only counted.
 */

/** In every message once, and nowhere else in what any server sends, the headers of WebSocket frames included. */
export const mark = "|";

/** What a connection says first. */
export interface Greeting {
  readonly secret: string;
  /** What it reads; a writer reads nothing. */
  readonly channels: readonly string[];
}

export interface Dialect {
  greet(greeting: Greeting): string;
  /** What the greeting is answered with, where nothing may be said before. */
  readonly greetedMark?: string;
  /** Publishes `text` to everybody. */
  publish(text: string): string;
  /** Of a WebSocket: all of this is said in its frames. */
  readonly upgradePath?: string;
  readonly protocol?: string;
  /** What stands between several in one frame, where clients put what they say in one turn into one. */
  readonly separator?: string;
  /** What a reader says first who has read before, and wants what came since. */
  recover?(options: {
    readonly secret: string;
    readonly since: { readonly epoch: string; readonly offset: number };
  }): string;
  /** What a reader is told in when messages for it were dropped. */
  readonly lossMark?: string;
}

/** The one that everybody reads. */
export const commonChannel = "bench";

const subscribe = (channel: string, overflow = "close"): string =>
  `{"action":"subscribe","channel":"${channel}","overflow":"${overflow}"}`;
const recover = (since: object): string =>
  `{"action":"subscribe","channel":"${commonChannel}","recover":${JSON.stringify(since)}}`;
const hello = (token: string): string => `{"action":"hello","protocol":1,"token":"${token}"}`;
const lossMark = '"push":"gap"';

const overWeb = (overflow: string): Dialect => ({
  upgradePath: "/ws",
  protocol: "ephemeral.v1.json",
  separator: "\n",
  lossMark,
  greet: ({ secret, channels }) =>
    [hello(secret), ...channels.map((channel) => subscribe(channel, overflow))].join("\n"),
  recover: ({ secret, since }) => `${hello(secret)}\n${recover(since)}`,
  publish: (text) => `{"action":"publish","channel":"${commonChannel}","data":"${text}"}`,
});

export const dialects: Readonly<Record<string, Dialect>> = {
  ephemeral: {
    lossMark,
    greet: ({ channels }) => channels.map((channel) => `${subscribe(channel)}\n`).join(""),
    recover: ({ since }) => `${recover(since)}\n`,
    publish: (text) => `{"action":"publish","channel":"${commonChannel}","data":"${text}"}\n`,
  },
  "ephemeral-web": overWeb("close"),
  "ephemeral-web-gap": overWeb("gap"),
  nats: {
    greet: ({ channels }) =>
      `CONNECT {"verbose":false}\r\n${channels.map((channel, index) => `SUB ${channel} ${index + 1}\r\n`).join("")}`,
    publish: (text) => `PUB ${commonChannel} ${text.length}\r\n${text}\r\n`,
  },
  redis: {
    greet: ({ channels }) => (channels.length === 0 ? "" : `SUBSCRIBE ${channels.join(" ")}\r\n`),
    publish: (text) => `*3\r\n$7\r\nPUBLISH\r\n$5\r\n${commonChannel}\r\n$${text.length}\r\n${text}\r\n`,
  },
  plain: { upgradePath: "/", greet: () => "", publish: (text) => text },
  "socket.io": {
    upgradePath: "/socket.io/?EIO=4&transport=websocket",
    greet: () => "40",
    greetedMark: "40{",
    publish: (text) => `42["say","${text}"]`,
  },
};

const maskedBit = 0x80;
const finalText = 0x81;

/** One text frame of a client, masked with zeros. */
export function webSocketFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  const { length } = payload;
  const header =
    length < 126 ? [finalText, maskedBit | length] : [finalText, maskedBit | 126, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([...header, 0, 0, 0, 0]), payload]);
}

export function upgradeRequest({ upgradePath = "/", protocol }: Dialect, port: number): string {
  const key = Buffer.from("0123456789abcdef").toString("base64");
  const lines = [
    `GET ${upgradePath} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Key: ${key}`,
    "Sec-WebSocket-Version: 13",
    ...(protocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
  ];
  return `${lines.join("\r\n")}\r\n\r\n`;
}
