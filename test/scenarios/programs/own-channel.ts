/** Listens to one channel, publishes in it, and says all it heard. */
import { connect, finish, read, told, write } from "./program.ts";

const [channel = "", ...messages] = told;
const { client, connectedAfterMs } = await connect();
const heard: unknown[] = [];
await client.subscribe(channel, ({ channel: from, data }) => heard.push([from, data]));
write("ready");
await read("go");
for (const message of messages) await client.publish(channel, message);
write("published");
await read("all-published");
// Answered behind everything the broker had to say to us before.
await client.ping();
finish(client, { connectedAfterMs, heard });
