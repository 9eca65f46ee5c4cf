// Fields for the levels of a shipped alert: threshold, duration, and whether the level is on.
import { type Levels, SEVERITIES } from "../api/rules";
import { t } from "../i18n";
import { TextField } from "./form";
import { severityText } from "./severity";

export const numberOf = (text: string): number | null => (text.trim() === "" ? null : Number(text));

interface LevelFieldsProps {
  title: string;
  unit: string;
  defaults: Levels;
  levels: Levels;
  set: (levels: Levels) => void;
  remove?: () => void;
}

export function LevelFields({ title, unit, defaults, levels, set, remove }: LevelFieldsProps) {
  return (
    <fieldset class="levels">
      <legend>
        {title}
        {remove && (
          <button type="button" class="button small" onClick={remove}>
            {t("action.remove")}
          </button>
        )}
      </legend>
      {SEVERITIES.filter((severity) => severity in defaults).map((severity) => {
        const own = levels[severity] ?? {};
        const usual = defaults[severity];
        const name = severityText(severity);
        const change = (changes: object): void => set({ ...levels, [severity]: { ...own, ...changes } });
        return (
          <div class="columns" key={severity}>
            {typeof usual?.threshold === "number" && (
              <TextField
                label={`${name}: ${t("rule.threshold")}${unit ? ` (${unit})` : ""}`}
                value={String(own.threshold ?? "")}
                placeholder={String(usual.threshold)}
                onInput={(text) => change({ threshold: numberOf(text) })}
              />
            )}
            <TextField
              label={`${name}: ${t("rule.for")}`}
              value={own.for ?? ""}
              placeholder={usual?.for ?? ""}
              onInput={(text) => change({ for: text || null })}
            />
            <label class="check">
              <input
                type="checkbox"
                checked={own.enabled ?? true}
                onChange={() => change({ enabled: own.enabled === false })}
              />
              {name}
            </label>
          </div>
        );
      })}
    </fieldset>
  );
}
