import { expect } from "bun:test";
import { customers } from "./customers.ts";

const customer = customers(import.meta.file);

customer("knows what cheese costs", async (shop) => {
  expect(await shop.priceCents("cheese")).toBe(890);
});

customer("knows what an apple costs", async (shop) => {
  expect(await shop.priceCents("apple")).toBe(120);
});

customer("refuses an item it does not have", async (shop) => {
  await expect(shop.priceCents("caviar")).rejects.toThrow("the shop has no caviar");
});

customer("has a price for every item", async (shop) => {
  for (const item of await shop.search("")) expect(await shop.priceCents(item)).toBeGreaterThan(0);
});
