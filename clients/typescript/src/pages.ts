/** Lists as iterators. */

import type { CallOptions } from "@connectrpc/connect";

/** An answer that is one page of a list, or of the record of events. */
type Page = { nextPageToken: string } | { nextCursor: string; caughtUp: boolean };

type List<Request, Response> = (request: Request, options?: CallOptions) => Promise<Response>;

/** What the one list of a page holds. */
type Row<Response> = {
  [K in keyof Response]-?: K extends `$${string}` ? never : Response[K] extends (infer T)[] ? T : never;
}[keyof Response];

/**
 * The answers of a list, one call each: `pages(shop.events.listEvents, { cursor })`. Each has the token or cursor to go
 * on from another time.
 */
export async function* pages<Request extends object, Response extends Page>(
  list: List<Request, Response>,
  request: Request,
  options?: CallOptions,
): AsyncGenerator<Response> {
  for (let next = request; ; ) {
    const page = await list(next, options);
    yield page;
    if ("nextCursor" in page) {
      if (page.caughtUp) return;
      next = { ...next, cursor: page.nextCursor };
    } else {
      if (!page.nextPageToken) return;
      next = { ...next, pageToken: page.nextPageToken };
    }
  }
}

/** All rows of a list, page after page: `for await (const product of rows(shop.catalog.listAvailableProducts, {}))`. */
export async function* rows<Request extends object, Response extends Page>(
  list: List<Request, Response>,
  request: Request,
  options?: CallOptions,
): AsyncGenerator<Row<Response>> {
  for await (const page of pages(list, request, options)) {
    const [, found] = Object.entries<unknown>(page).find(([name, value]) => !name.startsWith("$") && Array.isArray(value)) ?? [];
    yield* found as Row<Response>[];
  }
}
