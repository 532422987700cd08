import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { makeClientNonce, proveClient, verifyServer } from "../../src/client/connection/authentication.ts";

const secret = "sécret";
const handshake = { endpoint: "/run/x/sock", serverNonce: "00".repeat(16), clientNonce: "ff".repeat(16) };

function proof(side: string, changes: Partial<typeof handshake> & { readonly secret?: string } = {}): string {
  const said = { ...handshake, ...changes };
  return createHmac("sha256", changes.secret ?? secret)
    .update(`ephemeral/1 ${side}\n${said.endpoint}\n${said.serverNonce}\n${said.clientNonce}`)
    .digest("hex");
}

test("makeClientNonce() makes 32 hex digits, new ones each time", () => {
  expect(makeClientNonce()).toMatch(/^[0-9a-f]{32}$/);
  expect(makeClientNonce()).not.toBe(makeClientNonce());
});

test("proveClient() is the HMAC of the wire protocol", async () => {
  expect(await proveClient(secret, handshake)).toBe(proof("client"));
});

describe("verifyServer()", () => {
  test("accepts the broker's proof", async () => {
    await verifyServer(secret, { handshake, proof: proof("server") });
  });

  test.each([
    ["our own proof sent back", proof("client")],
    ["another secret", proof("server", { secret: "other" })],
    ["another endpoint", proof("server", { endpoint: "/run/y/sock" })],
    ["another challenge", proof("server", { serverNonce: "11".repeat(16) })],
    ["another client's nonce", proof("server", { clientNonce: "11".repeat(16) })],
    ["half of it", proof("server").slice(0, 32)],
    ["more than it", `${proof("server")}00`],
    ["no hex", "z".repeat(64)],
    ["nothing", undefined],
    ["no text", 7],
  ])("refuses %s", async (_what, claimed) => {
    const verified = verifyServer(secret, { handshake, proof: claimed });
    await expect(verified).rejects.toMatchObject({ code: "auth_failed" });
  });
});
