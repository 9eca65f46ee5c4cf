// The views of lists and forms, as one script.
export { default as Alerts } from "./alerts";
export { default as Coverage } from "./coverage";
export { default as Rules } from "./rules";
export { default as Settings } from "./settings";
export { default as TargetRule } from "./target_rule";
