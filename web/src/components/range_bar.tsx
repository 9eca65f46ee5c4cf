// The time range of the view: relative ranges, an absolute range, and steps through time.
import { useState } from "preact/hooks";
import { t } from "../i18n";
import { dateTimes, timeOfField } from "../i18n/format";
import { zone } from "../state/preferences";
import {
  chooseAbsolute,
  chooseRelative,
  currentRange,
  RANGES,
  type Range,
  rangeKey,
  relative,
  shift,
  zoomOut,
} from "../state/time_range";
import { Dialog } from "./dialog";
import { TextField } from "./form";
import { Icon } from "./icon";

const CUSTOM = "custom";

export function RangeBar() {
  const [isOpen, setOpen] = useState(false);
  const { from, to } = currentRange();
  return (
    <div class="range-bar" role="group" aria-label={t("range.title")} data-range={rangeKey.value}>
      <button
        type="button"
        class="button icon-only"
        aria-label={t("range.earlier")}
        title={t("range.earlier")}
        onClick={() => shift(-0.5)}
      >
        <Icon name="left" />
      </button>
      <label class="visually-hidden" for="range">
        {t("range.title")}
      </label>
      <select
        id="range"
        class="input"
        value={relative.value ?? CUSTOM}
        onChange={(event) => {
          const chosen = event.currentTarget.value;
          if (chosen === CUSTOM) setOpen(true);
          else chooseRelative(chosen as Range);
        }}
      >
        {RANGES.map((range) => (
          <option key={range} value={range} selected={range === relative.value}>
            {t("range.last", { range })}
          </option>
        ))}
        <option value={CUSTOM} selected={relative.value === null}>
          {relative.value === null ? dateTimes(from * 1000, to * 1000) : t("range.custom")}
        </option>
      </select>
      {relative.value === null && (
        <>
          <button
            type="button"
            class="button icon-only"
            aria-label={t("range.later")}
            title={t("range.later")}
            onClick={() => shift(0.5)}
          >
            <Icon name="right" />
          </button>
          <button type="button" class="button" onClick={() => setOpen(true)}>
            {t("range.edit")}
          </button>
        </>
      )}
      <button
        type="button"
        class="button icon-only"
        aria-label={t("range.out")}
        title={t("range.out")}
        onClick={zoomOut}
      >
        <Icon name="zoomOut" />
      </button>
      {isOpen && <RangeDialog onClose={() => setOpen(false)} />}
    </div>
  );
}

const pad = (value: number): string => String(value).padStart(2, "0");

/** Return a time as the field of a form has it, in the time zone of the person. */
function fieldText(secondsOf: number): string {
  const at = new Date(secondsOf * 1000);
  if (zone.value === "utc") return at.toISOString().slice(0, 16);
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}T${pad(at.getHours())}:${pad(at.getMinutes())}`;
}

const parsed = (text: string): number => timeOfField(text) / 1000;

function RangeDialog({ onClose }: { onClose: () => void }) {
  const { from, to } = currentRange();
  const [start, setStart] = useState(fieldText(from));
  const [end, setEnd] = useState(fieldText(to));
  const isValid = parsed(start) < parsed(end);
  return (
    <Dialog title={t("range.custom")} onClose={onClose}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          if (!isValid) return;
          chooseAbsolute(parsed(start), parsed(end));
          onClose();
        }}
      >
        <TextField label={t("range.from")} type="datetime-local" value={start} onInput={setStart} required />
        <TextField
          label={t("range.to")}
          type="datetime-local"
          value={end}
          onInput={setEnd}
          required
          {...(isValid ? {} : { error: t("range.order") })}
        />
        <p class="hint">{t(zone.value === "utc" ? "zone.utc" : "zone.local")}</p>
        <button type="submit" class="button primary">
          {t("action.apply")}
        </button>
      </form>
    </Dialog>
  );
}
