/** The program of a raw echo on the socket that is its one argument: what a ping takes where nothing is done about it. */
Bun.listen({
  unix: process.argv[2] ?? "",
  socket: { data: (socket, chunk) => void socket.write(chunk) },
});
console.log("{}");
