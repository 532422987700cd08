/**
 * The subprotocols of the web door, and what is spoken in each. The runtime would agree to the first one that is offered,
 * whatever it is, so it is chosen here.
 */
import { MapDecoder } from "../../msgpack/map-decoder.ts";
import { LineDecoder } from "../../protocol/line-decoder.ts";
import { codecs } from "../connections/codecs.ts";
import type { Wire } from "../connections/wire.ts";

export interface Subprotocol {
  /** Undefined when none was offered: nothing is to be agreed to then. */
  readonly name: string | undefined;
  /** How a new connection speaks it; frames may have `frameBytesMax` at first. */
  readonly wire: (frameBytesMax: number) => Wire;
}

const json: Subprotocol = {
  name: "ephemeral.v1.json",
  wire: (frameBytesMax) => ({ decoder: new LineDecoder(frameBytesMax), codec: codecs.json }),
};

const known: readonly Subprotocol[] = [
  json,
  {
    name: "ephemeral.v1.msgpack",
    wire: (frameBytesMax) => ({ decoder: new MapDecoder(frameBytesMax), codec: codecs.bareMsgpack }),
  },
];

export const subprotocolNames: readonly string[] = known.flatMap(({ name }) => name ?? []);

/** The first of those offered that we know; JSON when none is offered; undefined when all of them are unknown. */
export function chooseSubprotocol(offered: string | null): Subprotocol | undefined {
  if (offered === null) return { ...json, name: undefined };
  const names = offered.split(",").map((name) => name.trim());
  for (const name of names) {
    const found = known.find((one) => one.name === name);
    if (found !== undefined) return found;
  }
  return undefined;
}
