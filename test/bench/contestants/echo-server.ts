/** Sends back what it gets; `bun echo-server.ts SOCKET`. */
Bun.listen({
  unix: process.argv[2] ?? "",
  socket: {
    data(socket, chunk) {
      socket.write(chunk);
    },
  },
});
