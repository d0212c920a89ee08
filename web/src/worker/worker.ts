// The worker: decodes the sessions of the page, and answers its questions.

import type { PageData } from "../shared/model";
import { Store } from "./store";

/** A question: a method of the store, or `load`. */
export interface Question {
  id: number;
  method: string;
  values: unknown[];
}

export interface Reply {
  id: number;
  value?: unknown;
  error?: string;
}

let store: Store | undefined;

/** Decodes what `harness/src/view/page.rs` has embedded: JSON, deflated, in base64. */
async function load(base64: string): Promise<unknown> {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  store = new Store((await new Response(stream).json()) as PageData);
  return store.summary();
}

async function answer(question: Question): Promise<unknown> {
  if (question.method === "load") return load(question.values[0] as string);
  if (!store) throw new Error("the sessions are not loaded");
  const method = (store as unknown as Record<string, (...values: unknown[]) => unknown>)[question.method];
  if (typeof method !== "function") throw new Error(`there is no method ${question.method}`);
  return method.apply(store, question.values);
}

self.onmessage = async ({ data }: MessageEvent<Question>) => {
  const reply: Reply = { id: data.id };
  try {
    reply.value = await answer(data);
  } catch (error) {
    reply.error = String(error);
  }
  self.postMessage(reply);
};
