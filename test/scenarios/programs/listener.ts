/** Listens to one channel until it has heard so many messages. */
import { connect, finish, told, write } from "./program.ts";

const [channel = "", count = "1"] = told;
const { client, connectedAfterMs } = await connect();
const heard: unknown[] = [];
let enough: () => void = () => {};
const hasEnough = new Promise<void>((resolve) => {
  enough = resolve;
});
await client.subscribe(
  channel,
  ({ data }) => {
    heard.push(data);
    if (heard.length === Number(count)) enough();
  },
  { presence: true },
);
write("ready", Date.now());
await hasEnough;
finish(client, { connectedAfterMs, heard });
