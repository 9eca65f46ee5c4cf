// Parts of a view, each with an address of its own.
import { link, parameter, path } from "../state/router";

interface TabsProps {
  label: string;
  tabs: readonly { id: string; text: string; count?: number | undefined; changes?: Record<string, string> }[];
}

/** Return the part of the view that the address names, or the first. */
export function tabOf<T extends string>(tabs: readonly [T, ...T[]]): T {
  return tabs.find((one) => one === parameter("tab")) ?? tabs[0];
}

export function Tabs({ label, tabs }: TabsProps) {
  const first = tabs[0]?.id;
  const current = tabs.find(({ id }) => id === parameter("tab"))?.id ?? first;
  return (
    <nav class="tabs" aria-label={label}>
      {tabs.map(({ id, text, count, changes }) => (
        <a
          key={id}
          href={link(path.value, { ...changes, tab: id === first ? null : id })}
          aria-current={id === current ? "page" : undefined}
        >
          {text}
          {count !== undefined && count > 0 && <span class="tab-count">{count}</span>}
        </a>
      ))}
    </nav>
  );
}
