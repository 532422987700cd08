import { expect } from "bun:test";
import { customers } from "./customers.ts";

const customer = customers(import.meta.file);

customer("takes ten percent off", async (shop) => {
  await shop.put("cheese");
  await shop.redeem("TEN");
  expect(await shop.totalCents()).toBe(801);
});

customer("takes half off", async (shop) => {
  await shop.put("dates", 2);
  await shop.redeem("HALF");
  expect(await shop.totalCents()).toBe(450);
});

customer("keeps the last one only", async (shop) => {
  await shop.put("cheese");
  await shop.redeem("HALF");
  await shop.redeem("TEN");
  expect(await shop.totalCents()).toBe(801);
});

customer("refuses one the shop does not know", async (shop) => {
  await expect(shop.redeem("FREE")).rejects.toThrow("the shop knows no coupon FREE");
});
