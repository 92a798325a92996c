"use strict";
// The page around the graph: data, theme, copying, printing.

// Unpacks the page's data: compressed JSON in letters.
async function unpack(letters) {
  const bytes = Uint8Array.from(atob(letters), (letter) => letter.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(plain).text());
}

function announce(text) {
  document.getElementById("status").textContent = text;
}

// An element with a class and children, which may be text: text is never read as HTML.
function element(name, kind, ...children) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  made.append(...children);
  return made;
}

function setUpTheme() {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const show = () => button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    show();
  });
  system.addEventListener("change", show);
  show();
}

// Copies a text where the browser lets a page do so, else by the old command; tells if it did.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = element("textarea", "visually-hidden");
    area.value = text;
    document.body.append(area);
    area.focus();
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

function setUpCopying() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    const label = button.textContent;
    button.addEventListener("click", async () => {
      const done = await copy(document.getElementById(button.dataset.copy).textContent);
      button.focus();
      button.textContent = done ? "Copied" : "Not allowed to copy";
      announce(button.textContent);
      setTimeout(() => (button.textContent = label), 1500);
    });
  }
}

async function setUp() {
  document.documentElement.classList.add("js");
  setUpTheme();
  setUpCopying();
  document.getElementById("print").addEventListener("click", () => print());
  const data = await unpack(document.getElementById("data").textContent);
  new Workbench(data).start();
  if (data.code) document.getElementById("text-code").textContent = data.code;
  document.documentElement.dataset.ready = "true";
}

addEventListener("DOMContentLoaded", () =>
  setUp().catch((error) => {
    document.documentElement.classList.remove("js");
    throw error;
  }),
);
