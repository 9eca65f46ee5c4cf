// A field for PromQL with completion: the list of completions belongs to the field, which keeps the focus.
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import { type Completion, complete, contextOf, insertion } from "./completion";

interface QueryFieldProps {
  value: string;
  label: string;
  onInput: (value: string) => void;
  onRun: () => void;
}

export function QueryField({ value, label, onInput, onRun }: QueryFieldProps) {
  const id = useId();
  const field = useRef<HTMLTextAreaElement>(null);
  const [found, setFound] = useState<readonly Completion[]>([]);
  const [chosen, setChosen] = useState(-1);
  const request = useRef(0);
  const isOpen = found.length > 0;

  const shown = useRef<Completion | undefined>(undefined);
  shown.current = found[chosen];

  const close = (): void => {
    request.current++;
    setFound([]);
    setChosen(-1);
  };

  const suggest = async (isWanted: boolean): Promise<void> => {
    const own = ++request.current;
    const element = field.current;
    if (!element) return;
    const before = element.value.slice(0, element.selectionStart);
    const { what, word } = contextOf(before);
    if (!isWanted && word === "" && what === "expression") {
      close();
      return;
    }
    const completions = await complete(before).catch(() => []);
    if (own !== request.current) return;
    // The person may have chosen a completion while this list was on its way.
    const held = shown.current;
    const kept = completions.findIndex(({ kind, text }) => held?.kind === kind && held.text === text);
    setFound(completions);
    setChosen(kept < 0 && isWanted && completions.length > 0 ? 0 : kept);
  };

  const insert = (completion: Completion): void => {
    const element = field.current;
    if (!element) return;
    const end = element.selectionStart;
    const { word } = contextOf(element.value.slice(0, end));
    const { text, back } = insertion(completion);
    // setRangeText keeps the browser's history of changes.
    element.setRangeText(text, end - word.length, end, "end");
    element.selectionStart = element.selectionEnd = end - word.length + text.length - back;
    onInput(element.value);
    close();
    element.focus();
  };

  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === " " && event.ctrlKey) {
      event.preventDefault();
      void suggest(true);
    } else if (isOpen && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      const by = event.key === "ArrowDown" ? 1 : -1;
      setChosen((chosen + by + found.length) % found.length);
    } else if (isOpen && event.key === "Escape") {
      event.stopPropagation();
      close();
    } else if (isOpen && chosen >= 0 && (event.key === "Enter" || event.key === "Tab")) {
      event.preventDefault();
      const completion = found[chosen];
      if (completion) insert(completion);
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      close();
      onRun();
    }
  };

  useEffect(() => {
    document.getElementById(`${id}-${chosen}`)?.scrollIntoView({ block: "nearest" });
  }, [chosen, id]);

  return (
    <div class="query-field">
      <textarea
        ref={field}
        class="input mono"
        rows={Math.min(6, value.split("\n").length)}
        value={value}
        spellcheck={false}
        autocomplete="off"
        autocapitalize="off"
        aria-label={label}
        aria-autocomplete="list"
        aria-controls={`${id}-list`}
        aria-activedescendant={chosen >= 0 ? `${id}-${chosen}` : undefined}
        onInput={(event) => {
          onInput(event.currentTarget.value);
          void suggest(false);
        }}
        onKeyDown={onKeyDown}
        onBlur={close}
      />
      <div class="completions" id={`${id}-list`} role="listbox" aria-label={t("explore.suggestions")} hidden={!isOpen}>
        {found.map((one, index) => (
          // The keyboard chooses with the arrow keys in the field, which keeps the focus.
          // biome-ignore lint/a11y/useKeyWithClickEvents: as above
          // biome-ignore lint/a11y/useFocusableInteractive: as above
          <div
            key={`${one.kind} ${one.text}`}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === chosen}
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => insert(one)}
          >
            <span class="mono">{one.text}</span>
            <span class="muted">{t(`explore.kind.${one.kind}`)}</span>
          </div>
        ))}
      </div>
    </div>
  );
}
