import { expect } from "bun:test";
import { customers } from "./customers.ts";

const customer = customers(import.meta.file);

customer("are none at first", async (shop) => {
  expect(await shop.orders()).toEqual([]);
});

customer("are listed as paid", async (shop) => {
  await shop.put("bread");
  await shop.pay();
  expect(await shop.orders()).toEqual(["340 paid"]);
});

customer("can be cancelled", async (shop) => {
  await shop.put("bread");
  await shop.settle(await shop.pay(), "cancelled");
  expect(await shop.orders()).toEqual(["340 cancelled"]);
});

customer("cannot be cancelled twice", async (shop) => {
  await shop.put("bread");
  await shop.settle(await shop.pay(), "cancelled");
  await expect(shop.settle(0, "cancelled")).rejects.toThrow("order 0 is not open");
});
