import { expect } from "bun:test";
import { customers } from "./customers.ts";

const customer = customers(import.meta.file);

customer("mark the order as returned", async (shop) => {
  await shop.put("espresso");
  await shop.settle(await shop.pay(), "returned");
  expect(await shop.orders()).toEqual(["275 returned"]);
});

customer("leave other orders alone", async (shop) => {
  await shop.put("apple");
  const first = await shop.pay();
  await shop.put("bread");
  await shop.pay();
  await shop.settle(first, "returned");
  expect(await shop.orders()).toEqual(["120 returned", "340 paid"]);
});

customer("are refused for an order that is not there", async (shop) => {
  await expect(shop.settle(7, "returned")).rejects.toThrow("order 7 is not open");
});

customer("are refused after a cancellation", async (shop) => {
  await shop.put("apple");
  await shop.settle(await shop.pay(), "cancelled");
  await expect(shop.settle(0, "returned")).rejects.toThrow("order 0 is not open");
});
