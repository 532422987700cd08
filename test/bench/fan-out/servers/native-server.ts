/** Bun's own publish: what one client says, all are told. `bun native-server.ts`; prints its port. */
const topic = "bench";
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: (request, upgrading) => (upgrading.upgrade(request) ? undefined : new Response("no", { status: 400 })),
  websocket: {
    open: (socket) => void socket.subscribe(topic),
    message: (_socket, message) => void server.publish(topic, message),
  },
});
console.log(server.port);
