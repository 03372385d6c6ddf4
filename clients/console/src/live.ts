/** Rows that change: each is watched by itself, so that a change redraws one row and not the table. */

import { useSyncExternalStore } from "react";

export class LiveRows<Row extends { version: bigint }> {
  readonly #rows = new Map<string, Row>();
  readonly #watchers = new Map<string, Set<() => void>>();
  readonly #listWatchers = new Set<() => void>();
  #keys: readonly string[] = [];

  /** The keys in the order in which they came. */
  get keys(): readonly string[] {
    return this.#keys;
  }

  get(key: string): Row | undefined {
    return this.#rows.get(key);
  }

  /** Puts rows in; one that is not newer than the known one is left out. Returns whether any was. */
  put(rows: Iterable<readonly [string, Row]>): boolean {
    const added: string[] = [];
    let changed = false;
    for (const [key, row] of rows) {
      const known = this.#rows.get(key);
      if (known && known.version >= row.version) continue;
      if (!known) added.push(key);
      this.#rows.set(key, row);
      changed = true;
      this.#watchers.get(key)?.forEach((watcher) => watcher());
    }
    if (added.length > 0) this.#keys = [...this.#keys, ...added];
    if (changed) this.#listWatchers.forEach((watcher) => watcher());
    return changed;
  }

  clear(): void {
    this.#rows.clear();
    this.#keys = [];
    this.#listWatchers.forEach((watcher) => watcher());
  }

  watch(key: string, watcher: () => void): () => void {
    const watchers = this.#watchers.get(key) ?? new Set();
    this.#watchers.set(key, watchers.add(watcher));
    return () => {
      watchers.delete(watcher);
      if (watchers.size === 0) this.#watchers.delete(key);
    };
  }

  watchList(watcher: () => void): () => void {
    this.#listWatchers.add(watcher);
    return () => this.#listWatchers.delete(watcher);
  }
}

export function useRow<Row extends { version: bigint }>(rows: LiveRows<Row>, key: string): Row | undefined {
  return useSyncExternalStore((watcher) => rows.watch(key, watcher), () => rows.get(key));
}
