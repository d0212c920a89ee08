// The worker of the viewer: decodes the sessions of the page, and answers its questions.

import type { PageData } from "../shared/model";
import { answerQuestions, call } from "./answers";
import { Store } from "./store";

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

answerQuestions((question) => {
  if (question.method === "load") return load(question.values[0] as string);
  if (!store) throw new Error("the sessions are not loaded");
  return call(store, question);
});
