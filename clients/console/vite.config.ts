import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { stripRules } from "./strip_rules.ts";

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const PROTOBUF = at("../typescript/node_modules/@bufbuild/protobuf/dist/esm/");

/** The build is deterministic: CI builds it again and compares. File names carry a hash of their content. */
export default defineConfig({
  base: "/console/",
  plugins: [stripRules()],
  resolve: {
    preserveSymlinks: true,
    alias: [
      { find: "@stockward/client", replacement: at("../typescript/src/browser.ts") },
      // One copy: the one that the client is installed with.
      { find: /^@bufbuild\/protobuf$/, replacement: `${PROTOBUF}index.js` },
      { find: /^@bufbuild\/protobuf\/(\w+)$/, replacement: `${PROTOBUF}$1/index.js` },
    ],
  },
  worker: { format: "es", plugins: () => [stripRules()] },
  build: {
    outDir: at("../../generated/console"),
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    cssCodeSplit: false,
    chunkSizeWarningLimit: 1000,
  },
});
