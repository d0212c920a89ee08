// The longest task of a page's main thread, from a trace of Chromium.

/** Begins to trace a page. The returned function ends it, and returns the longest task in milliseconds. */
export async function traceTasks(page) {
  const client = await page.context().newCDPSession(page);
  const events = [];
  client.on("Tracing.dataCollected", ({ value }) => events.push(...value));
  await client.send("Tracing.start", {
    transferMode: "ReportEvents",
    traceConfig: { includedCategories: ["devtools.timeline", "toplevel"] },
  });
  return async () => {
    const finished = new Promise((resolve) => client.once("Tracing.tracingComplete", resolve));
    await client.send("Tracing.end");
    await finished;
    // Several processes may have such a thread: those of other pages do nothing.
    const named = events.filter((event) => event.name === "thread_name" && event.args?.name === "CrRendererMain");
    const mains = new Set(named.map(({ pid, tid }) => `${pid} ${tid}`));
    const tasks = events.filter((event) => event.name === "RunTask" || event.name === "ThreadControllerImpl::RunTask");
    const ofPage = tasks.filter(({ pid, tid }) => mains.size === 0 || mains.has(`${pid} ${tid}`));
    // Time of the clock, and of the processor: on a busy machine the first also has the time of others.
    const longest = (name) => Math.round(Math.max(0, ...ofPage.map((event) => (event[name] ?? 0) / 1000)));
    return { clock: longest("dur"), processor: longest("tdur") };
  };
}
