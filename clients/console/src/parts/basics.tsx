/** Small parts that every page has. */

import { Alert, Button, Code, Skeleton, Stack, Text, Title } from "@mantine/core";
import { StockwardError } from "@stockward/client";
import { useEffect, useState } from "react";
import type { ReactNode } from "react";
import { t } from "../texts";
import { Refusal } from "./act";

export function Page({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }): ReactNode {
  useEffect(() => {
    document.title = `${title} · ${t.name}`;
  }, [title]);
  return (
    <div className="page">
      <header className="page-head">
        <Title order={1} size="h2">{title}</Title>
        {aside}
      </header>
      {children}
    </div>
  );
}

export function Section({ title, children, aside }: { title: string; children: ReactNode; aside?: ReactNode }): ReactNode {
  return (
    <section className="panel" aria-label={title}>
      <header className="panel-head">
        <Title order={2} size="h5">{title}</Title>
        {aside}
      </header>
      {children}
    </section>
  );
}

export function Empty({ children }: { children: ReactNode }): ReactNode {
  return <Text className="empty">{children}</Text>;
}

export function Waiting(): ReactNode {
  return (
    <Stack gap="xs" aria-label={t.common.loading} role="status">
      <Skeleton height={18} animate={false} />
      <Skeleton height={18} animate={false} />
      <Skeleton height={18} animate={false} />
    </Stack>
  );
}

export function Failed({ error, again }: { error: unknown; again: () => void }): ReactNode {
  return (
    <Alert color="red" title={t.common.failed} role="alert">
      <Refusal error={StockwardError.from(error)} />
      <Button mt="sm" size="xs" variant="default" onClick={again}>{t.common.again}</Button>
    </Alert>
  );
}

/** The time, so often; for countdowns. */
export function useNow(everyMs = 1000): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

/** The value once it has rested. */
export function useSettled<T>(value: T, ms = 250): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}

/** Text with `code` in it. */
export function Prose({ text }: { text: string }): ReactNode {
  return text.split("`").map((part, index) => (index % 2 ? <Code key={index}>{part}</Code> : part));
}
