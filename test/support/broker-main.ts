/**
 * The program of a broker in a process of its own: its options are the one argument, as JSON; it says its pipe and its URL in one line
 * and ends, having stopped the broker, when its stdin ends.
 */
import { startBroker } from "../../src/broker/broker.ts";
import { brokerConfig } from "../../src/broker/config.ts";

const broker = await startBroker(brokerConfig(JSON.parse(process.argv[2] ?? "")));
console.log(JSON.stringify({ pipe: broker.pipe, url: broker.url }));
for await (const _ of Bun.stdin.stream());
await broker.stop();
