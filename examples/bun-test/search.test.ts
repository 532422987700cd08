import { expect } from "bun:test";
import { customers } from "./customers.ts";

const customer = customers(import.meta.file);

customer("finds an item by a part of its name", async (shop) => {
  expect(await shop.search("ea")).toEqual(["bread"]);
});

customer("finds several items", async (shop) => {
  expect(await shop.search("e")).toEqual(["apple", "bread", "cheese", "dates", "espresso"]);
});

customer("finds nothing for a word no item has", async (shop) => {
  expect(await shop.search("xyz")).toEqual([]);
});

customer("finds everything for nothing", async (shop) => {
  expect(await shop.search("")).toHaveLength(5);
});
