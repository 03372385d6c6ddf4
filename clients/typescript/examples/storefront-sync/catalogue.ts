/** What the storefront shows, kept in a JSON file. */

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { catalog, event } from "@stockward/client";

/** A product as customers see it. */
export interface Shown {
  productId: string;
  handle: string;
  title: string;
  skus: string[];
}

/** The newest that is known of a product. Hidden ones are kept, too: their version shows what comes late. */
interface Entry {
  version: number;
  shown: Shown | null;
}

/** Knows the newest version of each product, in whatever order and however often it is called. */
export class Catalogue {
  /** Where to go on reading events; empty before the first catch-up is complete. */
  cursor = "";
  readonly #products = new Map<string, Entry>();

  /** From `file`, where there is one. */
  static load(file: string): Catalogue {
    const catalogue = new Catalogue();
    if (existsSync(file)) {
      const { cursor, products } = JSON.parse(readFileSync(file, "utf8")) as { cursor: string; products: [string, Entry][] };
      catalogue.cursor = cursor;
      for (const [productId, entry] of products) catalogue.#products.set(productId, entry);
    }
    return catalogue;
  }

  /** All of it or nothing: a crash in between leaves the file of before. */
  save(file: string): void {
    writeFileSync(`${file}.new`, JSON.stringify({ cursor: this.cursor, products: [...this.#products] }));
    renameSync(`${file}.new`, file);
  }

  /** What customers see, by title. */
  get visible(): Shown[] {
    const shown = [...this.#products.values()].flatMap((each) => each.shown ?? []);
    return shown.sort((one, other) => one.title.localeCompare(other.title));
  }

  /** Takes a product as it is listed. */
  list(product: catalog.AvailableProduct): void {
    this.#put(product.productId, product.version, product);
  }

  /** Takes a product event; returns whether it had anything new. */
  hear({ aggregateId, aggregateVersion, data }: event.Event): boolean {
    if (data.case !== "product") return false;
    const published = data.value.state === catalog.Product_State.PUBLISHED;
    return this.#put(aggregateId, aggregateVersion, published ? data.value : null);
  }

  #put(productId: string, version: bigint, product: catalog.AvailableProduct | event.ProductEvent | null): boolean {
    if (Number(version) <= (this.#products.get(productId)?.version ?? 0)) return false; // again, or late
    const shown = product && {
      productId,
      handle: product.handle,
      title: product.title,
      skus: product.variants.map((each) => each.sku),
    };
    this.#products.set(productId, { version: Number(version), shown });
    return true;
  }
}
