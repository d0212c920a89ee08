// Answers of a worker to the questions of its page.

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

/** Answers each message of the page with what `answer` returns. */
export function answerQuestions(answer: (question: Question) => unknown): void {
  self.onmessage = async ({ data }: MessageEvent<Question>) => {
    const reply: Reply = { id: data.id };
    try {
      reply.value = await answer(data);
    } catch (error) {
      reply.error = String(error);
    }
    self.postMessage(reply);
  };
}

/** Calls the method that a question names. */
export function call(object: object, { method, values }: Question): unknown {
  const found = (object as Record<string, (...values: unknown[]) => unknown>)[method];
  if (typeof found !== "function") throw new Error(`there is no method ${method}`);
  return found.apply(object, values);
}
