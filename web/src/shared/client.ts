// The page's side of its worker.

import type { Store } from "../worker/store";
import type { Question, Reply } from "../worker/worker";
import SessionWorker from "../worker/worker?worker&inline";
import type { Summary } from "./rows";

type Methods = { [K in keyof Store]: Store[K] extends (...values: infer V) => infer R ? (...values: V) => Promise<R> : never };

/** A worker that has the sessions. Each method of the store is a method that returns a promise. */
export type Sessions = Methods & { load(base64: string): Promise<Summary> };

export function startWorker(): Sessions {
  const worker = new SessionWorker();
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let next = 0;
  worker.onmessage = ({ data }: MessageEvent<Reply>) => {
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
  const ask = (method: string, values: unknown[]) =>
    new Promise((resolve, reject) => {
      next += 1;
      waiting.set(next, { resolve, reject });
      worker.postMessage({ id: next, method, values } satisfies Question);
    });
  return new Proxy({} as Sessions, {
    get: (_, method) => (...values: unknown[]) => ask(String(method), values),
  });
}
