// live-mutex's broker; `node live-mutex-server.cjs SOCKET`.
const { Broker } = require("live-mutex");

new Broker({ udsPath: process.argv[2], noDelay: true }).ensure();
