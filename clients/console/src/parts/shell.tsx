/** What is around every page: navigation, the state of the stream, the account. */

import { Button, Menu, useMantineColorScheme } from "@mantine/core";
import { Link, Outlet } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { time } from "../format";
import { mayChange, signOut } from "../shop";
import { useSession, useStreamState } from "../streams/tab";
import { t } from "../texts";

const PAGES = [
  ["/", t.nav.now],
  ["/orders", t.nav.orders],
  ["/stock", t.nav.stock],
  ["/webhooks", t.nav.webhooks],
  ["/events", t.nav.events],
] as const;

export function Shell(): ReactNode {
  const session = useSession();
  return (
    <div className="shell">
      <a className="skip" href="#content" onClick={(event) => { event.preventDefault(); document.getElementById("content")?.focus(); }}>{t.skip}</a>
      <header className="top">
        <Link to="/" className="brand">{t.name}</Link>
        <Stream />
        <Account />
      </header>
      <nav className="nav" aria-label={t.nav.label}>
        {PAGES.map(([to, label]) => (
          <Link key={to} to={to} activeOptions={{ exact: to === "/" }} className="nav-link">{label}</Link>
        ))}
      </nav>
      <main id="content" className="content" tabIndex={-1}>
        {session && !mayChange(session) && <p className="note">{t.common.viewer}</p>}
        <Outlet />
      </main>
    </div>
  );
}

function Stream(): ReactNode {
  const state = useStreamState();
  const text =
    state.kind === "behind" ? t.stream.behind(state.seconds ?? 0)
    : state.kind === "refused" ? t.stream.refused(state.message ?? "")
    : t.stream[state.kind];
  return <span className={`stream stream-${state.kind}`} role="status">{text}</span>;
}

function Account(): ReactNode {
  const session = useSession();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  if (!session) return null;
  return (
    <Menu position="bottom-end" transitionProps={{ duration: 0 }}>
      <Menu.Target>
        <Button variant="default" size="compact-md" className="account">{session.name}</Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{t.account.signedInAs(session.name, t.roles[session.role] ?? "")}</Menu.Label>
        {session.ends !== undefined && <Menu.Label>{t.account.ends(time(timestampFromMs(session.ends)))}</Menu.Label>}
        <Menu.Divider />
        <Menu.Label>{t.scheme.label}</Menu.Label>
        {(["light", "dark", "auto"] as const).map((each) => (
          <Menu.Item key={each} onClick={() => setColorScheme(each)} aria-current={colorScheme === each} rightSection={colorScheme === each ? "✓" : undefined}>
            {t.scheme[each]}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item onClick={() => void signOut()}>{t.account.signOut}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
