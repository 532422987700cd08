/** Listens to one channel over losses of its server, and keeps a diary: states, messages, and what it was told was missing. */
import { connect, finish, read, told, write } from "./program.ts";

const [channel = ""] = told;
const { client } = await connect();
const diary: unknown[] = [];
const note = (entry: unknown): void => {
  diary.push(entry);
  if (Array.isArray(entry) && entry[0] === "state") write(`state-${diary.length}-${entry[1]}`);
};
client.onState((state) => note(["state", state]));
await client.subscribe(
  channel,
  ({ data, offset }) => {
    diary.push(["message", data, offset]);
    write(`heard-${data}`);
  },
  { onEvent: ({ event }) => diary.push([event]) },
);
write("ready");
await read("end");
finish(client, { diary });
