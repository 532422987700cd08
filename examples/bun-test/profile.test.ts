import { expect } from "bun:test";
import { customers } from "./customers.ts";

const customer = customers(import.meta.file);

customer("takes a new name", async (shop) => {
  expect(await shop.rename("Ada")).toBe("Ada");
});

customer("trims it", async (shop) => {
  expect(await shop.rename("  Ada ")).toBe("Ada");
});

customer("takes one in any script", async (shop) => {
  expect(await shop.rename("Ελένη 𝄞")).toBe("Ελένη 𝄞");
});

customer("refuses an empty one", async (shop) => {
  await expect(shop.rename("  ")).rejects.toThrow("a name is not empty");
});
