import { expect } from "bun:test";
import { customers } from "./customers.ts";

const customer = customers(import.meta.file);

customer("start with the first", async (shop) => {
  expect(await shop.wish("dates")).toEqual(["dates"]);
});

customer("keep their order", async (shop) => {
  await shop.wish("dates");
  expect(await shop.wish("apple")).toEqual(["dates", "apple"]);
});

customer("count once", async (shop) => {
  await shop.wish("dates");
  expect(await shop.wish("dates")).toEqual(["dates"]);
});

customer("do not touch the cart", async (shop) => {
  await shop.wish("dates");
  expect(await shop.totalCents()).toBe(0);
});
