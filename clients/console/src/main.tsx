import { MantineProvider, createTheme } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import type { ReactNode } from "react";
import { createRoot } from "react-dom/client";
import { SignIn } from "./pages/SignIn";
import { Toasts } from "./parts/toasts";
import { orderRows, stockRows } from "./data";
import { router } from "./router";
import { endedBy, takeLink } from "./shop";
import { useSession } from "./streams/tab";
import "./styles";
import "./style.css";

const link = takeLink(); // before anything else: it must not stay in the address
addEventListener("hashchange", () => location.hash.startsWith("#link=") && location.reload());

const queries = new QueryClient({
  defaultOptions: { queries: { retry: (count, error) => !endedBy(error) && count < 2, refetchOnWindowFocus: false } },
});

/** Style elements are not allowed by the policy of the page: variables and classes come from the style sheet alone. */
const theme = createTheme({ cursorType: "pointer", respectReducedMotion: true });

function App(): ReactNode {
  const session = useSession();
  const had = useRef(false);
  const [pending, setPending] = useState(link);
  useEffect(() => {
    if (session) had.current = true;
    else {
      queries.clear();
      orderRows.clear();
      stockRows.clear();
    }
  }, [session]);
  if (session && !pending) return <RouterProvider router={router} />;
  return <SignIn link={pending} ended={had.current} onDone={() => setPending("")} />;
}

createRoot(document.getElementById("root")!).render(
  <MantineProvider theme={theme} defaultColorScheme="auto" withCssVariables={false} withGlobalClasses={false}>
    <QueryClientProvider client={queries}>
      <App />
      <Toasts />
    </QueryClientProvider>
  </MantineProvider>,
);
