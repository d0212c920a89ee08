// A box that stays at its end while it grows.

import type { RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

interface End<T> {
  box: RefObject<T | null>;
  onScroll: () => void;
  toEnd: () => void;
  /** True if something was added since the box left its end. */
  hasNew: boolean;
}

/** Keeps a box at its end when `values` change, unless it was scrolled up by more than `near` pixels. */
export function useEnd<T extends HTMLElement>(values: unknown[], near = 40): End<T> {
  const box = useRef<T>(null);
  const isAtEnd = useRef(true);
  const [hasNew, setNew] = useState(false);
  const toEnd = () => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
    setNew(false);
  };
  useEffect(() => {
    if (isAtEnd.current) toEnd();
    else setNew(true);
  }, values);
  const onScroll = () => {
    const { current } = box;
    if (!current) return;
    isAtEnd.current = current.scrollHeight - current.scrollTop - current.clientHeight < near;
    if (isAtEnd.current) setNew(false);
  };
  return { box, onScroll, toEnd, hasNew };
}
