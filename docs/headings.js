// Let headings and names in tables break inside long words: after a dot, a slash or an underscore, and in NodeCPUUsageHigh.
document.addEventListener("DOMContentLoaded", () => {
  const between = /(?<=[./_])(?=[\w{])|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/;
  for (const heading of document.querySelectorAll("article :is(h1, h2, h3, h4, td:first-child a)")) {
    const walker = document.createTreeWalker(heading, NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) texts.push(walker.currentNode);
    for (const text of texts) {
      const [first, ...rest] = text.data.split(between);
      text.replaceWith(first, ...rest.flatMap((part) => [document.createElement("wbr"), part]));
    }
  }
});
