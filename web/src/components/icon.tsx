// Icons as paths on a grid of 16 by 16.
const PATHS = {
  fleet: "M2 2h5v5H2zM9 2h5v5H9zM2 9h5v5H2zM9 9h5v5H9z",
  ranking: "M2 3h12M2 8h8M2 13h4",
  compare: "M2 13V8M6 13V3M10 13V6M14 13V9",
  processes: "M2 4h12M2 8h8M2 12h5M12 10v4M10 12h4",
  explore: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.5 10.5 14 14",
  alerts: "M8 2a4 4 0 0 0-4 4v3l-1.5 2.500h11L12 9V6a4 4 0 0 0-4-4zM6.5 14h3",
  rules: "M3 4h10M3 8h10M3 12h6M12 11v3",
  coverage: "M8 2l5 2v4c0 3-2 5-5 6-3-1-5-3-5-6V4zM6 8l1.5 1.500L10 6.5",
  settings:
    "M8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM8 2v2M8 12v2M2 8h2M12 8h2M3.8 3.800l1.4 1.400M10.8 10.800l1.4 1.400M12.2 3.800l-1.4 1.400M5.2 10.800l-1.4 1.4",
  menu: "M2 4h12M2 8h12M2 12h12",
  close: "M4 4l8 8M12 4l-8 8",
  left: "M10 3L5 8l5 5",
  right: "M6 3l5 5-5 5",
  down: "M3 6l5 5 5-5",
  up: "M3 10l5-5 5 5",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 5v3l2 2",
  zoomOut: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.5 10.5 14 14M5 7h4",
  reload: "M13 8a5 5 0 1 1-1.5-3.500M13 2v3h-3",
  download: "M8 2v8M5 7l3 3 3-3M3 13h10",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1v1.500M8 13.500V15M1 8h1.500M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1",
  moon: "M13 9.500A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.500z",
  system: "M2 3h12v8H2zM6 14h4M8 11v3",
  user: "M8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2.5 14c.5-3 2.5-4.5 5.5-4.500s5 1.5 5.5 4.5",
  logout: "M6 2H3v12h3M10 5l3 3-3 3M13 8H6",
  check: "M3 8.500l3.5 3.500L13 4.5",
  warning: "M8 2L14.5 13.500h-13zM8 6.500v3M8 11.500v.5",
  critical: "M5.5 2h5L14 5.500v5L10.5 14h-5L2 10.500v-5zM6 6l4 4M10 6l-4 4",
  unknown: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM6 6.500a2 2 0 1 1 2 2v.5M8 11v.5",
  offline: "M2 2l12 12M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12z",
  info: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 7v4M8 5v.5",
  filter: "M2 3h12L9.5 8.500V13l-3-1.500v-3z",
  pin: "M8 2v12M2 8h12",
  table: "M2 3h12v10H2zM2 6.500h12M2 10h12M6.5 3v10",
  chart: "M2 2v12h12M4 10l3-4 2.5 2.500L14 4",
  image: "M2 3h12v10H2zM2 11l3.5-3.5 3 3L11 8l3 3M10.5 6v.01",
  external: "M9 2h5v5M14 2L7.5 8.500M12 9.500V14H2V4h4.5",
  silence: "M2 2l12 12M4 6v3l-1.500 2.500h9M12 8V6a4 4 0 0 0-6.500-3M6.5 14h3",
  trash: "M2.5 4h11M6 4V2.500h4V4M4 4l.6 9.500h6.800L12 4M6.5 6.500v4.500M9.5 6.500v4.500",
} as const;

export type IconName = keyof typeof PATHS;

/** An icon. Text next to it, or the label of its button, has the meaning. */
export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
