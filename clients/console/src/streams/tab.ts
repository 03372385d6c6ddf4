/** A tab's end of the hub: the session, the state of the stream, and events to listen to. */

import type { event } from "@stockward/client";
import { useEffect, useSyncExternalStore } from "react";
import { Hub } from "./hub";
import type { FromHub, Session, StreamState, ToHub } from "./protocol";

/** Where the session survives a reload of this tab. It ends with the tab. */
const STORED = "stockward.session";

type Listener = (events: readonly event.Event[]) => void;

class Tab {
  session: Session | null = stored();
  state: StreamState = { kind: "off" };
  readonly #port: MessagePort;
  readonly #watchers = new Set<() => void>();
  readonly #listeners = new Set<Listener>();
  readonly #resets = new Set<() => void>();

  constructor() {
    this.#port = connect();
    this.#port.onmessage = ({ data }: MessageEvent<FromHub>) => this.#receive(data);
    this.#send({ kind: "hello", session: this.session });
    addEventListener("pagehide", () => this.#send({ kind: "bye" }));
    addEventListener("pageshow", (shown) => {
      if (shown.persisted) this.#send({ kind: "hello", session: this.session });
    });
  }

  /** Signs all tabs in, or out. */
  use(session: Session | null): void {
    this.#send({ kind: "session", session });
  }

  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls back when events may have been missed. */
  onReset(callback: () => void): () => void {
    this.#resets.add(callback);
    return () => this.#resets.delete(callback);
  }

  #send(message: ToHub): void {
    this.#port.postMessage(message);
  }

  #receive(message: FromHub): void {
    switch (message.kind) {
      case "session":
        this.session = message.session;
        if (message.session) sessionStorage.setItem(STORED, JSON.stringify(message.session));
        else sessionStorage.removeItem(STORED);
        break;
      case "state":
        this.state = message.state;
        break;
      case "events":
        this.#listeners.forEach((listener) => listener(message.events));
        return;
      case "reset":
        this.#resets.forEach((callback) => callback());
        return;
    }
    this.#watchers.forEach((watcher) => watcher());
  }
}

/** The worker of all tabs, or where there is none a hub in this tab. */
function connect(): MessagePort {
  if (typeof SharedWorker !== "undefined") {
    return new SharedWorker(new URL("./worker.ts", import.meta.url), { type: "module", name: "stockward" }).port;
  }
  const { port1, port2 } = new MessageChannel();
  new Hub(location.origin).attach(port2);
  return port1;
}

function stored(): Session | null {
  const text = sessionStorage.getItem(STORED);
  const session = text ? (JSON.parse(text) as Session) : null;
  return session?.ends !== undefined && session.ends < Date.now() ? null : session;
}

export const tab = new Tab();

export function useSession(): Session | null {
  return useSyncExternalStore((watcher) => tab.watch(watcher), () => tab.session);
}

export function useStreamState(): StreamState {
  return useSyncExternalStore((watcher) => tab.watch(watcher), () => tab.state);
}

/** Calls back with each batch of events while the component is shown. */
export function useEvents(listener: Listener, inputs: readonly unknown[]): void {
  useEffect(() => tab.listen(listener), inputs);
}
