/** Short notes at the edge of the page. */

import { Notification } from "@mantine/core";
import { useSyncExternalStore } from "react";
import type { ReactNode } from "react";
import { t } from "../texts";

interface Note {
  readonly id: number;
  readonly text: string;
}

const SHOWN_MS = 5000;

let notes: readonly Note[] = [];
let last = 0;
const watchers = new Set<() => void>();

function set(next: readonly Note[]): void {
  notes = next;
  watchers.forEach((watcher) => watcher());
}

export function toast(text: string): void {
  const id = ++last;
  set([...notes, { id, text }]);
  setTimeout(() => drop(id), SHOWN_MS);
}

function drop(id: number): void {
  set(notes.filter((note) => note.id !== id));
}

export function Toasts(): ReactNode {
  const shown = useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => notes,
  );
  return (
    <div className="toasts" role="status">
      {shown.map((note) => (
        <Notification key={note.id} onClose={() => drop(note.id)} closeButtonProps={{ "aria-label": t.common.close }}>
          {note.text}
        </Notification>
      ))}
    </div>
  );
}
