/**
 * The program of a worker process: connects to the pipe it is given, says what it reads on stdin and prints what it is
 * told. As small as a process of this runtime can be; knows nothing of commands.
 */
const said = Bun.stdin.stream();
const socket = await Bun.connect({
  unix: process.argv[2] ?? "",
  socket: {
    data: (_socket, chunk) => void process.stdout.write(chunk),
    close: () => process.exit(3),
  },
});
for await (const chunk of said) socket.write(chunk);
socket.end();

export {};
