// Files that the person saves: tables as CSV, charts as PNG.
import type uPlot from "uplot";

type Cell = string | number;

function save(name: string, blob: Blob): void {
  const url = URL.createObjectURL(blob);
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

const fileName = (title: string, ending: string): string =>
  `${title.replace(/[^\p{L}\p{N}._-]+/gu, "_")}-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.${ending}`;

/** Return rows as CSV (RFC 4180). A text that a spreadsheet would run as a formula gets an apostrophe. */
export function csv(rows: readonly (readonly Cell[])[]): string {
  const cell = (value: Cell): string => {
    const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return `${rows.map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}

/** Save rows as a CSV file. */
export function exportCsv(title: string, rows: readonly (readonly Cell[])[]): void {
  save(fileName(title, "csv"), new Blob([csv(rows)], { type: "text/csv;charset=utf-8" }));
}

/** Save a chart with its title as a PNG file. */
export function exportPng(plot: uPlot, title: string, colours: { text: string; back: string }): void {
  const scale = devicePixelRatio;
  const head = 28 * scale;
  const source = plot.ctx.canvas;
  const canvas = document.createElement("canvas");
  canvas.width = source.width;
  canvas.height = source.height + head;
  const context = canvas.getContext("2d");
  if (!context) return;
  context.fillStyle = colours.back;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = colours.text;
  context.font = `600 ${13 * scale}px system-ui, sans-serif`;
  context.fillText(title, 8 * scale, 18 * scale);
  context.drawImage(source, 0, head);
  canvas.toBlob((blob) => blob && save(fileName(title, "png"), blob));
}
