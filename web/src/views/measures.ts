// The hub's measures, as the page names them.
import { request } from "../api/client";
import type { Measure, Page } from "../api/types";
import { textOr } from "../i18n";

export const readMeasures = (signal: AbortSignal): Promise<Page<Measure>> =>
  request<Page<Measure>>("GET", "/api/v1/metrics/measures", { signal });

/** Return the title of a measure with its unit, for example `CPU usage (%)`. */
export const measureText = ({ name, title, unit }: Measure): string =>
  `${textOr(`measured.${name}`, title)} (${textOr(`unit.${unit}`, unit)})`;
