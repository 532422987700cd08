import { expect } from "bun:test";
import { customers } from "./customers.ts";

const customer = customers(import.meta.file);

customer("costs 4.90 for a small cart", async (shop) => {
  await shop.put("apple");
  expect(await shop.shippingCents()).toBe(490);
});

customer("is free from 20.00", async (shop) => {
  await shop.put("cheese", 2);
  await shop.put("dates");
  expect(await shop.shippingCents()).toBe(0);
});

customer("is not free a cent below", async (shop) => {
  await shop.put("cheese", 4);
  await shop.redeem("HALF");
  expect(await shop.shippingCents()).toBe(490);
});

customer("looks at the sum after the coupon", async (shop) => {
  await shop.put("cheese", 5);
  await shop.redeem("HALF");
  expect(await shop.shippingCents()).toBe(0);
});
