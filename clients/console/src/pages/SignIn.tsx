import { Alert, Button, PasswordInput, Stack, Text, Title } from "@mantine/core";
import { StockwardError } from "@stockward/client";
import { useEffect, useState } from "react";
import type { ReactNode } from "react";
import { Refusal } from "../parts/act";
import { Prose } from "../parts/basics";
import { signIn } from "../shop";
import { t } from "../texts";

/** `link` is the secret of a link, which is used at once. */
export function SignIn({ link, ended, onDone }: { link: string; ended: boolean; onDone: () => void }): ReactNode {
  const [key, setKey] = useState("");
  const [busy, setBusy] = useState(link !== "");
  const [error, setError] = useState<StockwardError>();

  async function enter(secret: string): Promise<void> {
    setBusy(true);
    setError(undefined);
    try {
      await signIn(secret);
      onDone();
    } catch (cause) {
      setError(StockwardError.from(cause));
      setBusy(false);
    }
  }

  useEffect(() => {
    document.title = `${t.signIn.title} · ${t.name}`;
    if (link) void enter(link);
  }, []);

  return (
    <main className="sign-in">
      <form
        className="panel"
        onSubmit={(event) => {
          event.preventDefault();
          void enter(key.trim());
        }}
      >
        <Stack>
          <Title order={1} size="h3">{t.name}</Title>
          {ended && !error && <Alert color="yellow">{t.signIn.ended}</Alert>}
          {error && (
            <Alert color="red" title={t.act.refused} role="alert">
              {link ? <Prose text={t.signIn.linkUsed} /> : <Refusal error={error} />}
            </Alert>
          )}
          {busy && link !== "" ? (
            <Text role="status">{t.signIn.link}</Text>
          ) : (
            <>
              <PasswordInput
                label={t.signIn.key}
                description={t.signIn.keyHelp}
                value={key}
                onChange={(event) => setKey(event.currentTarget.value)}
                autoComplete="off"
                required
                withAsterisk={false}
                data-autofocus
              />
              <Button type="submit" loading={busy} disabled={!key.trim()}>{t.signIn.submit}</Button>
              <Text size="sm" className="dim"><Prose text={t.signIn.command} /></Text>
            </>
          )}
        </Stack>
      </form>
    </main>
  );
}
