// Draw the diagrams of a page: blocks of the language mermaid.
document.addEventListener("DOMContentLoaded", () => {
  const sources = document.querySelectorAll(".highlight-mermaid pre");
  if (!window.mermaid || sources.length === 0) return;
  const dark =
    document.body.dataset.theme === "dark" ||
    (document.body.dataset.theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  window.mermaid.initialize({ startOnLoad: false, theme: dark ? "dark" : "default" });
  const drawings = [...sources].map((source) => {
    const drawing = document.createElement("div");
    drawing.textContent = source.textContent;
    source.closest(".highlight-mermaid").replaceWith(drawing);
    return drawing;
  });
  window.mermaid.run({ nodes: drawings });
});
