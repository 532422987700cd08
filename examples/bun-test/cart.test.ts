import { expect } from "bun:test";
import { customers } from "./customers.ts";

const customer = customers(import.meta.file);

customer("is empty at first", async (shop) => {
  expect(await shop.totalCents()).toBe(0);
});

customer("adds up what is put in", async (shop) => {
  await shop.put("apple");
  await shop.put("bread", 2);
  expect(await shop.totalCents()).toBe(120 + 2 * 340);
});

customer("counts the same item twice", async (shop) => {
  await shop.put("apple");
  await shop.put("apple");
  expect(await shop.totalCents()).toBe(240);
});

customer("takes an item out again", async (shop) => {
  await shop.put("apple", 3);
  await shop.put("apple", -2);
  expect(await shop.totalCents()).toBe(120);
});

customer("refuses what the shop does not have", async (shop) => {
  await expect(shop.put("caviar")).rejects.toThrow("the shop has no caviar");
});
