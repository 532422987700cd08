/**
 * A client of bytes: writes what it is given, reads when it is told to, can stop reading, close its half or vanish.
 * Knows lines, and nothing of what is in them.
 */
import { connect } from "node:net";

export interface RawClient extends Disposable {
  write(data: string | Uint8Array): void;
  /** The next line, without its LF; rejects when the connection closes first. */
  line(): Promise<string>;
  /** The next line as an object. */
  next(): Promise<Record<string, unknown>>;
  /** Lines that have come and were not asked for. */
  readonly linesWaiting: number;
  /** Stops taking bytes from the kernel, and goes on. */
  pause(): void;
  resume(): void;
  /** Closes our half; what is said to us still arrives. */
  finish(): void;
  /** Resolves when the connection is closed, for whatever reason. */
  readonly closed: Promise<void>;
}

export async function rawClient(pipe: string): Promise<RawClient> {
  const socket = connect({ path: pipe, allowHalfOpen: true });
  const opened = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const lines: string[] = [];
  const readers: PromiseWithResolvers<string>[] = [];
  let partial: Buffer[] = [];
  let isClosed = false;
  socket.once("connect", () => opened.resolve());
  socket.once("error", (error) => opened.reject(error));
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      const line = Buffer.concat([...partial, chunk.subarray(start, end)]).toString();
      partial = [];
      start = end + 1;
      const reader = readers.shift();
      if (reader === undefined) lines.push(line);
      else reader.resolve(line);
    }
    if (start < chunk.length) partial.push(chunk.subarray(start));
  });
  const end = (): void => {
    isClosed = true;
    closed.resolve();
    for (const reader of readers.splice(0)) reader.reject(new Error("the broker closed the connection"));
  };
  socket.once("end", end);
  socket.once("close", end);
  await opened.promise;
  const line = (): Promise<string> => {
    const first = lines.shift();
    if (first !== undefined) return Promise.resolve(first);
    if (isClosed) return Promise.reject(new Error("the broker closed the connection"));
    const reader = Promise.withResolvers<string>();
    readers.push(reader);
    return reader.promise;
  };
  return {
    write: (data) => void socket.write(data),
    line,
    next: async () => JSON.parse(await line()) as Record<string, unknown>,
    get linesWaiting() {
      return lines.length;
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    finish: () => void socket.end(),
    closed: closed.promise,
    [Symbol.dispose]: () => socket.destroy(),
  };
}
