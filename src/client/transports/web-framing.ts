/**
 * How frames stand in WebSocket messages: of JSON, text with LF between objects. MessagePack has its own in `src/msgpack/`.
 */
import type { WebFraming } from "../../protocol/codec.ts";
import { messageIn } from "../json-codec.ts";

/** A message holds no more than so many characters, at most three times as many bytes, unless one object does. */
const messageCharactersMax = 128 * 1024;

export const jsonWebFraming: WebFraming = {
  subprotocol: "ephemeral.v1.json",
  *messages(frames) {
    const text = `${frames}`;
    for (let at = 0; at < text.length; ) {
      const isRest = text.length - at <= messageCharactersMax;
      const cut = isRest ? text.length - 1 : text.lastIndexOf("\n", at + messageCharactersMax);
      const end = cut > at ? cut : text.indexOf("\n", at);
      yield text.slice(at, end);
      at = end + 1;
    }
  },
  read(message, onMessage) {
    for (const line of `${message}`.split("\n")) if (line !== "" && !onMessage(messageIn(line))) return;
  },
  pong: '{"action":"pong"}',
};
