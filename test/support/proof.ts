/** What a client that knows a broker's secret says, computed by the protocol's page alone and not by the broker's code. */
import { createHmac } from "node:crypto";

/** `command` as one line whose last member is the HMAC of the line without it. */
export function sealed(command: object, secret: string): string {
  const line = JSON.stringify(command);
  const hmac = createHmac("sha256", secret).update(line).digest("hex");
  return `${line.slice(0, -1)},"hmac":"${hmac}"}\n`;
}

/** One side's answer to a challenge. */
export function proofOf(parts: {
  readonly side: "client" | "server";
  readonly secret: string;
  readonly endpoint: string;
  readonly serverNonce: string;
  readonly clientNonce: string;
}): string {
  const text = `ephemeral/1 ${parts.side}\n${parts.endpoint}\n${parts.serverNonce}\n${parts.clientNonce}`;
  return createHmac("sha256", parts.secret).update(text).digest("hex");
}
