// The page's side of its worker.

import type { Store } from "../worker/store";
import type { Question, Reply } from "../worker/answers";

type Promised<T> = { [K in keyof T]: T[K] extends (...values: infer V) => infer R ? (...values: V) => Promise<Awaited<R>> : never };

/** A worker that has the sessions. Each method of the store is a method that returns a promise. */
export type Sessions = Promised<Store>;

/** Starts to ask a worker. Its messages without an id are notices. */
export function ask<T>(worker: Worker, onNotice?: (notice: unknown) => void): Promised<T> {
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let next = 0;
  worker.onmessage = ({ data }: MessageEvent<Reply | { notice: unknown }>) => {
    if (!("id" in data)) {
      onNotice?.(data.notice);
      return;
    }
    const asked = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.error === undefined) asked?.resolve(data.value);
    else asked?.reject(new Error(data.error));
  };
  const fail = (message: string) => {
    for (const asked of waiting.values()) asked.reject(new Error(message));
    waiting.clear();
  };
  worker.onerror = (event) => fail(event.message || "the worker of the page failed");
  const question = (method: string, values: unknown[]) =>
    new Promise((resolve, reject) => {
      next += 1;
      waiting.set(next, { resolve, reject });
      worker.postMessage({ id: next, method, values } satisfies Question);
    });
  return new Proxy({} as Promised<T>, {
    get: (_, method) => (...values: unknown[]) => question(String(method), values),
  });
}
