/** Serves the page: `node dist/examples/storefront/serve.js` beside `.stockward/run.json`. */

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const PAGE = fileURLToPath(new URL("../../../examples/storefront/", import.meta.url));

/** Serves the page on a port of this machine; 0 is any. A key in a page is everybody's: give it a storefront's. */
export async function serve(edge: string, key: string, port: number): Promise<Server> {
  const bundle = await build({
    entryPoints: [`${PAGE}storefront.ts`],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: "es2022",
    platform: "browser",
  });
  const files: Record<string, [type: string, content: string]> = {
    "/": ["text/html", readFileSync(`${PAGE}index.html`, "utf8")],
    "/storefront.js": ["text/javascript", bundle.outputFiles[0]!.text],
    "/config.json": ["application/json", JSON.stringify({ edge, key })],
  };
  const server = createServer((request, response) => {
    const [type, content] = files[request.url ?? ""] ?? [];
    if (type) response.writeHead(200, { "content-type": `${type}; charset=utf-8` }).end(content);
    else response.writeHead(404).end();
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return server;
}

export function urlOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const run = JSON.parse(readFileSync(".stockward/run.json", "utf8")) as { edge: string; keys: { storefront: string } };
  console.log(`The shop is open: ${urlOf(await serve(run.edge, run.keys.storefront, 8088))}`);
}
