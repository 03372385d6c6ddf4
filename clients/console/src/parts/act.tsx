/** Actions: each shows the command that does the same, and asks again with the same request_id when its answer is lost. */

import { Alert, Button, Code as CodeText, CopyButton, Group, Modal, Stack, Text } from "@mantine/core";
import { Code, StockwardError } from "@stockward/client";
import { useEffect, useRef, useState } from "react";
import type { ReactNode } from "react";
import { shell } from "../format";
import { endedBy } from "../shop";
import { t } from "../texts";
import { toast } from "./toasts";

export interface Action {
  readonly title: string;
  /** The words behind `stockward` that do the same, without the request_id. */
  readonly command: readonly string[];
  readonly run: (requestId: string) => Promise<unknown>;
  readonly fields?: ReactNode;
  /** What to say of a refusal, where that is more than its message. */
  readonly explain?: (error: StockwardError) => ReactNode;
  readonly danger?: boolean;
}

type Step = { kind: "asking" } | { kind: "sending" } | { kind: "unknown" } | { kind: "refused"; error: StockwardError };

/** Milliseconds until a lost answer is asked for again. */
const AGAIN_MS = 2000;

export function ActionDialog({ action, onClose }: { action: Action; onClose: (done: boolean) => void }): ReactNode {
  const [step, setStep] = useState<Step>({ kind: "asking" });
  const [requestId, setRequestId] = useState(() => crypto.randomUUID());
  const open = useRef(true);
  useEffect(() => () => void (open.current = false), []);

  async function run(): Promise<void> {
    setStep({ kind: "sending" });
    try {
      await action.run(requestId);
      toast(t.act.done(action.title));
      onClose(true);
    } catch (cause) {
      const error = StockwardError.from(cause);
      if (!open.current || endedBy(error)) return;
      if (error.code === Code.Unavailable || error.code === Code.DeadlineExceeded) setStep({ kind: "unknown" });
      else {
        setStep({ kind: "refused", error });
        setRequestId(crypto.randomUUID()); // what is asked next is something else
      }
    }
  }

  useEffect(() => {
    if (step.kind !== "unknown") return undefined;
    const timer = setTimeout(() => void run(), AGAIN_MS);
    return () => clearTimeout(timer);
  }, [step]);

  const line = shell("stockward", ...action.command, "--request-id", requestId);
  const isBusy = step.kind === "sending" || step.kind === "unknown";
  return (
    <Modal opened onClose={() => onClose(false)} title={action.title} lockScroll={false} closeButtonProps={{ "aria-label": t.common.close }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void run();
        }}
      >
        <Stack gap="md">
          <fieldset className="plain" disabled={isBusy}>{action.fields}</fieldset>
          {step.kind === "unknown" && (
            <Alert color="yellow" title={t.act.unknownTitle} role="status">
              {t.act.unknown}
            </Alert>
          )}
          {step.kind === "refused" && (
            <Alert color="red" title={t.act.refused} role="alert">
              {action.explain?.(step.error) ?? <Refusal error={step.error} />}
            </Alert>
          )}
          <div>
            <Group justify="space-between">
              <Text size="sm" className="dim">{t.act.sameByCommand}</Text>
              <CopyButton value={line}>
                {({ copied, copy }) => (
                  <Button size="compact-xs" variant="subtle" onClick={copy}>{copied ? t.common.copied : t.common.copy}</Button>
                )}
              </CopyButton>
            </Group>
            <CodeText block className="command">{line}</CodeText>
          </div>
          <Group justify="flex-end">
            <Button variant="default" onClick={() => onClose(false)}>{t.common.cancel}</Button>
            <Button type="submit" color={action.danger ? "red.9" : undefined} loading={step.kind === "sending"}>
              {step.kind === "unknown" ? t.act.askAgain : action.title}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

export function Refusal({ error }: { error: StockwardError }): ReactNode {
  return (
    <>
      <Text size="sm">{error.message}</Text>
      {error.fieldViolations.map((each) => (
        <Text size="sm" key={each.field}>{`${each.field}: ${each.description}`}</Text>
      ))}
      <Text size="xs" className="dim">{error.reason || Code[error.code]}</Text>
    </>
  );
}
