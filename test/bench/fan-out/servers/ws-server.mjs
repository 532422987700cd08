/** The `ws` package on Node: what one client says, all are told. `node ws-server.mjs FOLDER`; prints its port. */
import { createRequire } from "node:module";

const { WebSocketServer } = createRequire(`${process.argv[2]}/`)("ws");
const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
server.on("connection", (socket) => {
  socket.on("message", (message) => {
    for (const client of server.clients) client.send(message, { binary: false });
  });
});
server.on("listening", () => console.log(server.address().port));
