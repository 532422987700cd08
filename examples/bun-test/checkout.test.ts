import { expect } from "bun:test";
import { customers } from "./customers.ts";

const customer = customers(import.meta.file);

customer("pays", async (shop) => {
  await shop.put("cheese");
  expect(await shop.pay()).toBe(0);
  expect(await shop.orders()).toEqual(["890 paid"]);
});

customer("empties the cart", async (shop) => {
  await shop.put("cheese");
  await shop.pay();
  expect(await shop.totalCents()).toBe(0);
});

customer("refuses an empty cart", async (shop) => {
  await expect(shop.pay()).rejects.toThrow("the cart is empty");
});

customer("numbers the orders of an account", async (shop) => {
  await shop.put("apple");
  await shop.pay();
  await shop.put("bread");
  expect(await shop.pay()).toBe(1);
});
