/** The pages. Each is loaded when it is first shown. */

import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { Shell } from "./parts/shell";
import { t } from "./texts";

const root = createRootRoute({ component: Shell, notFoundComponent: () => t.common.notFound });

const page = <Path extends string>(path: Path, load: () => Promise<{ default: () => React.ReactNode }>) =>
  createRoute({ getParentRoute: () => root, path, component: lazyRouteComponent(load) });

const routeTree = root.addChildren([
  page("/", () => import("./pages/Now")),
  page("/orders", () => import("./pages/Orders")),
  page("/orders/$orderId", () => import("./pages/Order")),
  page("/stock", () => import("./pages/Stock")),
  page("/skus/$sku", () => import("./pages/Sku")),
  page("/webhooks", () => import("./pages/Webhooks")),
  page("/events", () => import("./pages/Events")),
]);

export const router = createRouter({ routeTree, basepath: "/console", defaultPreload: "intent" });

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
