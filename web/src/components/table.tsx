// A table that sorts by its columns, and draws only the rows that are visible.
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import { link } from "../state/router";
import { Icon } from "./icon";

export interface Column<T> {
  key: string;
  title: string;
  /** What the cell shows. */
  cell: (row: T) => ComponentChildren;
  /** What the rows are sorted by; without it, the column does not sort. */
  sort?: (row: T) => string | number | null;
  /** Whether the cells are numbers, at the right. */
  numeric?: boolean;
  /** The width: a CSS track size. `minmax(6rem, 1fr)` by default. */
  width?: string;
  /** Whether the column is left out on narrow screens. */
  wide?: boolean;
}

export interface Sorting {
  key: string;
  descending: boolean;
}

interface TableProps<T> {
  /** The name of the table for screen readers. */
  label: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  rowKey: (row: T) => string;
  sorting: Sorting;
  onSort: (sorting: Sorting) => void;
  empty?: ComponentChildren;
  /** The most lines of text in a cell. All rows have the height of that many lines. */
  lines?: keyof typeof ROWS;
}

/** The heights of rows in pixels, by lines of text; the styles have the same. */
const ROWS = { 1: 34, 2: 48 };
/** Rows that are drawn together, so that scrolling by one row draws nothing. */
const BLOCK = 12;
/** Tables with at most this many rows draw all. */
const SHORT = 100;
const collator = new Intl.Collator(undefined, { numeric: true });

function compare(one: string | number | null, other: string | number | null): number {
  if (one === other) return 0;
  if (one === null || Number.isNaN(one)) return 1;
  if (other === null || Number.isNaN(other)) return -1;
  return typeof one === "number" && typeof other === "number"
    ? one - other
    : collator.compare(String(one), String(other));
}

/** Return rows in the order of a column. Rows without a value are last in both directions. */
export function sorted<T>(rows: readonly T[], columns: readonly Column<T>[], sorting: Sorting): readonly T[] {
  const by = columns.find((column) => column.key === sorting.key)?.sort;
  if (!by) return rows;
  const sign = sorting.descending ? -1 : 1;
  return rows
    .map((row) => [row, by(row)] as const)
    .sort(([, one], [, other]) => (one === null || other === null ? compare(one, other) : sign * compare(one, other)))
    .map(([row]) => row);
}

/** Return the part of a long list that is visible in the window. The first frame has none: it shows the rest sooner. */
function useVisible(
  count: number,
  height: number,
  body: { current: HTMLElement | null },
): [first: number, last: number] {
  const [bounds, setBounds] = useState<[number, number]>([0, 0]);
  useEffect(() => {
    let frame = 0;
    const measure = (): void => {
      frame = 0;
      const top = body.current?.getBoundingClientRect().top ?? 0;
      const first = Math.max(0, Math.floor(-top / height / BLOCK) * BLOCK - BLOCK);
      const last = Math.ceil((window.innerHeight - top) / height / BLOCK) * BLOCK + BLOCK;
      setBounds((before) => (before[0] === first && before[1] === last ? before : [first, last]));
    };
    const later = (): void => {
      frame ||= requestAnimationFrame(measure);
    };
    measure();
    window.addEventListener("scroll", later, { passive: true });
    window.addEventListener("resize", later);
    return () => {
      cancelAnimationFrame(frame);
      window.removeEventListener("scroll", later);
      window.removeEventListener("resize", later);
    };
  }, [body, height]);
  if (count <= SHORT) return [0, count];
  const first = Math.min(bounds[0], count);
  return [first, Math.max(first, Math.min(bounds[1], count))];
}

export function Table<T>({ label, columns, rows, rowKey, sorting, onSort, empty, lines = 1 }: TableProps<T>) {
  const height = ROWS[lines];
  const body = useRef<HTMLTableSectionElement>(null);
  const ordered = useMemo(() => sorted(rows, columns, sorting), [rows, columns, sorting.key, sorting.descending]);
  const [first, last] = useVisible(ordered.length, height, body);
  const shown = ordered.slice(first, last);
  return (
    <div class="table-frame">
      <table class="table" data-lines={lines} aria-label={label} aria-rowcount={ordered.length + 1}>
        <colgroup>
          {columns.map((column) => (
            <col key={column.key} class={column.wide ? "wide" : ""} style={{ inlineSize: column.width ?? "" }} />
          ))}
        </colgroup>
        <thead>
          <tr aria-rowindex={1}>
            {columns.map((column) => (
              <Head key={column.key} column={column} sorting={sorting} onSort={onSort} />
            ))}
          </tr>
        </thead>
        <tbody ref={body}>
          {first > 0 && (
            <tr class="spacer">
              <td colSpan={columns.length} style={{ blockSize: `${first * height}px` }} />
            </tr>
          )}
          {shown.map((row, index) => (
            <tr key={rowKey(row)} aria-rowindex={first + index + 2}>
              {columns.map((column) => (
                <td key={column.key} class={`${column.numeric ? "numeric" : ""} ${column.wide ? "wide" : ""}`}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
          {last < ordered.length && (
            <tr class="spacer">
              <td colSpan={columns.length} style={{ blockSize: `${(ordered.length - last) * height}px` }} />
            </tr>
          )}
        </tbody>
      </table>
      {ordered.length === 0 && <div class="table-empty">{empty ?? t("state.empty")}</div>}
    </div>
  );
}

interface HeadProps<T> {
  column: Column<T>;
  sorting: Sorting;
  onSort: (sorting: Sorting) => void;
}

function Head<T>({ column, sorting, onSort }: HeadProps<T>) {
  const isSorted = sorting.key === column.key;
  const classes = `${column.numeric ? "numeric" : ""} ${column.wide ? "wide" : ""}`;
  if (!column.sort)
    return (
      <th scope="col" class={classes}>
        {column.title}
      </th>
    );
  const descending = isSorted ? !sorting.descending : Boolean(column.numeric);
  return (
    <th scope="col" class={classes} aria-sort={isSorted ? (sorting.descending ? "descending" : "ascending") : "none"}>
      <button type="button" onClick={() => onSort({ key: column.key, descending })}>
        {column.title}
        {isSorted && <Icon name={sorting.descending ? "down" : "up"} size={12} />}
      </button>
    </th>
  );
}

interface NameAndTextProps {
  /** The view to which the name links. */
  to: string;
  name: string;
  text: string;
  /** What is between them, for example a badge. */
  children?: ComponentChildren;
}

/** A cell of a table with `lines={2}`: a link and a text. The tooltip has the whole text. */
export function NameAndText({ to, name, text, children }: NameAndTextProps) {
  return (
    <span class="two-lines" title={text}>
      <a class="cell-link" href={link(to)}>
        {name}
      </a>{" "}
      {children}
      <span class="muted">{text}</span>
    </span>
  );
}
