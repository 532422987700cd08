/**
 * How readers and a writer speak to a server that fans messages out: the bytes, and nothing more, so that every contestant's
 * clients cost the same. What comes back is only counted.
 */

/** In every message once, and nowhere else in what any server sends, the headers of WebSocket frames included. */
export const mark = "|";

export interface Dialect {
  /** What a reader says first, and a writer. */
  greetReader(secret: string): string;
  greetWriter(secret: string): string;
  /** Publishes `text` to everybody. */
  publish(text: string): string;
  /** Of a WebSocket: all of this is said in its frames. */
  readonly upgradePath?: string;
  readonly protocol?: string;
}

const hello = (token: string): string => `{"id":1,"action":"hello","protocol":1,"token":"${token}"}`;

export const dialects: Readonly<Record<string, Dialect>> = {
  ephemeral: {
    greetReader: () => `{"action":"subscribe","channel":"bench"}\n`,
    greetWriter: () => "",
    publish: (text) => `{"action":"publish","channel":"bench","data":"${text}"}\n`,
  },
  "ephemeral-web": {
    upgradePath: "/ws",
    protocol: "ephemeral.v1.json",
    greetReader: (token) => `${hello(token)}\n{"id":2,"action":"subscribe","channel":"bench"}`,
    greetWriter: hello,
    publish: (text) => `{"action":"publish","channel":"bench","data":"${text}"}`,
  },
  nats: {
    greetReader: () => `CONNECT {"verbose":false}\r\nSUB bench 1\r\n`,
    greetWriter: () => `CONNECT {"verbose":false}\r\n`,
    publish: (text) => `PUB bench ${text.length}\r\n${text}\r\n`,
  },
  redis: {
    greetReader: () => "SUBSCRIBE bench\r\n",
    greetWriter: () => "",
    publish: (text) => `*3\r\n$7\r\nPUBLISH\r\n$5\r\nbench\r\n$${text.length}\r\n${text}\r\n`,
  },
  plain: { upgradePath: "/", greetReader: () => "", greetWriter: () => "", publish: (text) => text },
  "socket.io": {
    upgradePath: "/socket.io/?EIO=4&transport=websocket",
    greetReader: () => "40",
    greetWriter: () => "40",
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
