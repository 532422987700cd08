/** Bun's own publish: what one client says, all are told. `bun native-server.ts`; prints its port. */
const topic = "bench";
/** Everybody has two, for the measure of what a connection costs. */
const quietTopic = "other";
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: (request, upgrading) => (upgrading.upgrade(request) ? undefined : new Response("no", { status: 400 })),
  websocket: {
    // As ours.
    backpressureLimit: 4 * 1024 * 1024,
    open: (socket) => {
      socket.subscribe(topic);
      socket.subscribe(quietTopic);
    },
    message: (_socket, message) => void server.publish(topic, message),
  },
});
console.log(server.port);
