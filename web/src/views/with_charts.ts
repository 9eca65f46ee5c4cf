// The views with charts and their queries, as one script.
export { default as AlertView } from "./alert";
export { default as Busiest } from "./busiest";
export { default as Compare } from "./compare";
export { default as Explore } from "./explore";
export { default as NodeView } from "./node";
export { default as Processes } from "./processes";
export { default as RuleView } from "./rule";
