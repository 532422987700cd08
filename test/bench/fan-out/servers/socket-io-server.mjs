/** Socket.IO on Node: what one client says, all are told. `node socket-io-server.mjs FOLDER`; prints its port. */
import { createServer } from "node:http";
import { createRequire } from "node:module";

const { Server } = createRequire(`${process.argv[2]}/`)("socket.io");
const http = createServer();
const server = new Server(http, { transports: ["websocket"], serveClient: false });
server.on("connection", (socket) => {
  // As everybody has two topics in the measure of what a connection costs.
  socket.join(["bench", "other"]);
  socket.on("say", (message) => server.emit("message", message));
});
http.listen(0, "127.0.0.1", () => console.log(http.address().port));
