// The seed's broker; `node seed-server.mjs PIPE_ID`.
import { Broker } from "@ephemeral-broker/core";

await new Broker({ pipeId: process.argv[2], logLevel: "error", maxItems: 1_000_000 }).start();
