/**
 * A shop with three customer accounts, small enough to read and real enough to break: an account's state lives in one
 * file, so two tests in one account at once spoil each other, as they would on a server.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";

const prices: Readonly<Record<string, number>> = { apple: 120, bread: 340, cheese: 890, dates: 450, espresso: 275 };
const coupons: Readonly<Record<string, number>> = { TEN: 10, HALF: 50 };
const freeShippingCents = 2_000;
const networkMs = 12;

type OrderState = "paid" | "cancelled" | "returned";

interface AccountState {
  name: string;
  cart: Record<string, number>;
  coupon?: string;
  wishes: string[];
  orders: { totalCents: number; state: OrderState }[];
}

/** What the shop's login gives: it takes a while, and every caller may use the same one. */
export async function login(): Promise<{ readonly token: string }> {
  await Bun.sleep(150);
  return { token: `token-${crypto.randomUUID()}` };
}

export class Shop {
  readonly #file: string;

  /** Opens `account` with nothing in it. */
  constructor({
    folder,
    account,
    token,
  }: { readonly folder: string; readonly account: number; readonly token: string }) {
    if (!token.startsWith("token-")) throw new Error("the shop wants a login");
    this.#file = `${folder}/account-${account}.json`;
    this.#save({ name: `customer ${account}`, cart: {}, wishes: [], orders: [] });
  }

  async search(word: string): Promise<readonly string[]> {
    await Bun.sleep(networkMs);
    return Object.keys(prices).filter((name) => name.includes(word));
  }

  async priceCents(item: string): Promise<number> {
    await Bun.sleep(networkMs);
    const price = prices[item];
    if (price === undefined) throw new Error(`the shop has no ${item}`);
    return price;
  }

  async put(item: string, count = 1): Promise<void> {
    await this.priceCents(item);
    await this.#change((state) => {
      const left = (state.cart[item] ?? 0) + count;
      if (left > 0) state.cart[item] = left;
      else delete state.cart[item];
    });
  }

  async redeem(coupon: string): Promise<void> {
    await this.#change((state) => {
      if (coupons[coupon] === undefined) throw new Error(`the shop knows no coupon ${coupon}`);
      state.coupon = coupon;
    });
  }

  async totalCents(): Promise<number> {
    return this.#change((state) => {
      const sum = Object.entries(state.cart).reduce((cents, [item, count]) => cents + (prices[item] ?? 0) * count, 0);
      return Math.round((sum * (100 - (coupons[state.coupon ?? ""] ?? 0))) / 100);
    });
  }

  async shippingCents(): Promise<number> {
    return (await this.totalCents()) >= freeShippingCents ? 0 : 490;
  }

  /** Pays what is in the cart; the number of the order. */
  async pay(): Promise<number> {
    const totalCents = await this.totalCents();
    if (totalCents === 0) throw new Error("the cart is empty");
    return this.#change((state) => {
      state.cart = {};
      return state.orders.push({ totalCents, state: "paid" }) - 1;
    });
  }

  async settle(order: number, outcome: Exclude<OrderState, "paid">): Promise<void> {
    await this.#change((state) => {
      const found = state.orders[order];
      if (found?.state !== "paid") throw new Error(`order ${order} is not open`);
      found.state = outcome;
    });
  }

  async orders(): Promise<readonly string[]> {
    return this.#change((state) => state.orders.map(({ totalCents, state }) => `${totalCents} ${state}`));
  }

  async wish(item: string): Promise<readonly string[]> {
    return this.#change((state) => {
      if (!state.wishes.includes(item)) state.wishes.push(item);
      return state.wishes;
    });
  }

  async rename(name: string): Promise<string> {
    return this.#change((state) => {
      if (name.trim() === "") throw new Error("a name is not empty");
      state.name = name.trim();
      return state.name;
    });
  }

  /** One request: the account as the shop has it, changed, and stored again. */
  async #change<T>(change: (state: AccountState) => T): Promise<T> {
    if (!existsSync(this.#file)) throw new Error("the account is gone");
    const state: AccountState = JSON.parse(readFileSync(this.#file, "utf8"));
    await Bun.sleep(networkMs);
    const result = change(state);
    this.#save(state);
    return result;
  }

  #save(state: AccountState): void {
    writeFileSync(this.#file, JSON.stringify(state));
  }
}
