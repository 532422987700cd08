/** The least client there is: writes the line our client would write and counts the lines that come back, in order. */
import type { Session } from "./contestant.ts";

export async function lineSession(address: string): Promise<Session> {
  const waiting: (() => void)[] = [];
  let head = 0;
  let outgoing = "";
  let id = 0;
  const socket = await Bun.connect({
    unix: address,
    socket: {
      data(_socket, chunk) {
        for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) waiting[head++]?.();
        waiting.splice(0, head);
        head = 0;
      },
    },
  });
  const say = (line: string): Promise<void> => {
    if (outgoing === "") {
      queueMicrotask(() => {
        socket.write(outgoing);
        outgoing = "";
      });
    }
    outgoing += line;
    return new Promise((resolve) => waiting.push(resolve));
  };
  return {
    set: (key, value) => say(`{"id":${++id},"action":"set","key":"${key}","value":"${value}","ttl":600000}\n`),
    get: (key) => say(`{"id":${++id},"action":"get","key":"${key}"}\n`),
    close: () => {
      socket.end();
    },
  };
}
