/**
 * A client without manners that speaks MessagePack on the pipe: writes any bytes, reads frames with the package's own
 * decoder, so that a mistake in ours cannot hide behind itself.
 */
import { decode, encode } from "@msgpack/msgpack";
import { PrefixedDecoder } from "../../src/protocol/prefixed-decoder.ts";

export type Message = Record<string, unknown>;

export interface MsgpackClient extends Disposable {
  /** Writes bytes as they are. */
  write(bytes: Uint8Array): void;
  /** Writes one command as a frame; read the answer with `next`. */
  say(command: object): void;
  /** The next message; rejects when the connection closes first. */
  next(): Promise<Message>;
  /** Says `command` and reads the next message. */
  ask(command: object): Promise<Message>;
}

/** A body behind its length. */
export function prefixed(body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(4 + body.length);
  new DataView(frame.buffer).setUint32(0, body.length);
  frame.set(body, 4);
  return frame;
}

export async function msgpackClient(pipe: string): Promise<MsgpackClient> {
  const messages: Message[] = [];
  const readers: PromiseWithResolvers<Message>[] = [];
  const decoder = new PrefixedDecoder(4 * 1024 * 1024);
  let isClosed = false;
  let unsent = Buffer.alloc(0);
  const socket = await Bun.connect({
    unix: pipe,
    socket: {
      data(_socket, chunk) {
        decoder.push(chunk, (frame) => {
          // A frame is one map; a copy, as the package's decoder hands out views.
          const message = decode(frame.slice()) as Message;
          const reader = readers.shift();
          if (reader === undefined) messages.push(message);
          else reader.resolve(message);
        });
      },
      drain(socket) {
        unsent = unsent.subarray(Math.max(socket.write(unsent), 0));
      },
      close() {
        isClosed = true;
        for (const reader of readers.splice(0)) reader.reject(new Error("the broker closed the connection"));
      },
    },
  });
  const write = (bytes: Uint8Array): void => {
    unsent = Buffer.concat([unsent, bytes]);
    unsent = unsent.subarray(Math.max(socket.write(unsent), 0));
  };
  const next = (): Promise<Message> => {
    const message = messages.shift();
    if (message !== undefined) return Promise.resolve(message);
    if (isClosed) return Promise.reject(new Error("the broker closed the connection"));
    const reader = Promise.withResolvers<Message>();
    readers.push(reader);
    return reader.promise;
  };
  const say = (command: object): void => write(prefixed(encode(command)));
  return {
    write,
    say,
    next,
    ask(command) {
      say(command);
      return next();
    },
    [Symbol.dispose]: () => socket.terminate(),
  };
}
