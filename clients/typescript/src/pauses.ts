/** How long to wait before trying again. */

const FIRST_MS = 100;
const LONGEST_MS = 2000;

/** Milliseconds before each further attempt: doubling, drawn at random from the upper half, without end. */
export function* pauses(): Generator<number, never> {
  for (let longest = FIRST_MS; ; longest = Math.min(2 * longest, LONGEST_MS)) {
    yield longest * (0.5 + Math.random() / 2);
  }
}

/** Resolves after `ms`, or as soon as `signal` aborts. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return;
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}
