// The state of the inspector, from the notices of its worker.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { ask } from "../shared/client";
import type { Notice, Snapshot, Status } from "../shared/live";
import type { LinkState } from "../shared/program";
import type { Summary } from "../shared/rows";
import type { LiveStore } from "../worker/live-store";
import { App } from "./app";

/** Least time between two looks at the whole session, in milliseconds. */
const FACETS_MS = 1000;

export type LiveSessions = ReturnType<
  typeof ask<LiveStore & { connect(url: string): void; pause(): void; resume(): void }>
>;

export interface Live {
  snapshot: Omit<Snapshot, "rules">;
  summary: Summary;
  status: Status | undefined;
  rowsVersion: number;
  facetsVersion: number;
}

interface InspectorProps {
  sessions: LiveSessions;
  subscribe: (listener: (notice: Notice) => void) => () => void;
}

export function Inspector({ sessions, subscribe }: InspectorProps) {
  const [live, setLive] = useState<Live>();
  const [link, setLink] = useState<LinkState>("connecting");
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  // Before the worker connects: a notice that nobody hears does not come again.
  useLayoutEffect(() => {
    const lookAtAll = () => {
      timer.current ??= setTimeout(() => {
        timer.current = undefined;
        setLive((before) => before && { ...before, facetsVersion: before.facetsVersion + 1 });
      }, FACETS_MS);
    };
    return subscribe((notice) => {
      if (notice.kind === "link") {
        setLink(notice.link);
      } else if (notice.kind === "begun") {
        setLive((before) => ({
          snapshot: notice.snapshot,
          summary: notice.summary,
          status: before?.status,
          rowsVersion: (before?.rowsVersion ?? 0) + 1,
          facetsVersion: (before?.facetsVersion ?? 0) + 1,
        }));
      } else if (notice.kind === "status") {
        setLive((before) => before && { ...before, status: notice.status });
      } else {
        const { summary } = notice;
        setLive((before) => before && { ...before, ...(summary ? { summary } : {}), rowsVersion: before.rowsVersion + 1 });
        lookAtAll();
      }
    });
  }, []);
  if (!live) {
    return link === "lost" ? (
      <p class="loading" role="alert">
        The program does not let this page in: open the URL that it printed at its start, and close other pages of it.
      </p>
    ) : (
      <p class="loading">Connecting to the program…</p>
    );
  }
  return <App sessions={sessions} live={live} link={link} />;
}
