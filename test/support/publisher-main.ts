/**
 * The program of a process that is present in a channel and publishes there without an end, as fast as the broker takes it,
 * until it is killed: numbered messages, of some 500 bytes. `bun publisher-main.ts PIPE CHANNEL`
 */
const [pipe = "", channel = ""] = process.argv.slice(2);
const line = (command: object): string => `${JSON.stringify(command)}\n`;
let index = 0;
let unsent = Buffer.from(line({ action: "subscribe", channel, presence: true, overflow: "gap" }));

await Bun.connect({
  unix: pipe,
  socket: {
    // What it is told itself says that the broker has read on.
    data: (socket) => goOn(socket),
    drain: (socket) => goOn(socket),
    open: (socket) => goOn(socket),
  },
});

function goOn(socket: { write(bytes: Uint8Array): number }): void {
  while (unsent.length < 64 * 1024) {
    unsent = Buffer.concat([
      unsent,
      Buffer.from(line({ action: "publish", channel, data: "x".repeat(500) + index++ })),
    ]);
  }
  unsent = unsent.subarray(Math.max(socket.write(unsent), 0));
}

export {};
