// A canvas that is drawn anew when its values, its size or the theme change.

import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** Draws on a canvas of a width, in pixels of the page. `color` returns the value of a variable of the styles. */
export type Paint = (draw: CanvasRenderingContext2D, width: number, color: (name: string) => string) => void;

/** Returns the reference of a canvas of a height, which `paint` draws whenever `values` are others. */
export function useCanvas(height: number, paint: Paint, values: unknown): RefObject<HTMLCanvasElement | null> {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const element = canvas.current;
    if (!element) return undefined;
    const draw = () => {
      const context = element.getContext("2d");
      if (!context) return;
      const scale = devicePixelRatio || 1;
      element.width = Math.round(element.clientWidth * scale);
      element.height = height * scale;
      context.scale(scale, scale);
      const style = getComputedStyle(element);
      paint(context, element.clientWidth, (name) => style.getPropertyValue(name).trim());
    };
    draw();
    const observer = new ResizeObserver(draw);
    observer.observe(element);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", draw);
    document.addEventListener("themechange", draw);
    return () => {
      observer.disconnect();
      scheme.removeEventListener("change", draw);
      document.removeEventListener("themechange", draw);
    };
  }, [values]);
  return canvas;
}
