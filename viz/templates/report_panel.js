// The panel: what a node is, its equation, value, gradient and shape.

class Panel {
  constructor(data, place) {
    this.data = data;
    this.place = place;
  }

  // Shows a node, or a hint; `steps` are the lengths of the time indices.
  show(node, example, steps) {
    this.place.parentElement.classList.toggle("busy", Boolean(node));
    if (!node) {
      const hint = "Point at a node, or reach one with the Tab key.";
      this.place.replaceChildren(element("p", "hint", hint));
      return;
    }
    const item = this.data.items[node.name];
    const { math, rows, key } = this.meaning(node, item, steps);
    const about = item ?? this.data.observed[key];
    if (about) rows.push(["shape", about.shape]);
    if (example?.error) rows.push(["value", `none: ${example.error}`]);
    else rows.push(...this.numbers(node, about, key, example));
    rows.push(...counts(node));
    const parts = [this.heading(node, item)];
    const gradient = node.kind === "boundary" ? undefined : item?.backward;
    for (const shown of [math, gradient].filter(Boolean)) {
      const box = element("div", "equation");
      box.innerHTML = shown; // written by the library, every name in it escaped
      parts.push(box);
    }
    const list = element("dl");
    for (const [term, meaning] of rows) {
      list.append(element("dt", "", term), element("dd", "", meaning));
    }
    this.place.replaceChildren(...parts, list);
  }

  // What is written about a node, and the key of its values.
  meaning(node, item, steps) {
    const code = (text) => element("code", "", text);
    if (node.kind === "boundary") {
      const index = this.data.choices.findIndex((choice) => choice.index === item?.index);
      const given = this.data.boundaries.find(
        ({ key, name, last, offset }) =>
          key === node.name || // in the circuit
          (name === node.name && offset + (last ? steps[index] : 0) === node.time),
      );
      if (given) return { math: given.mathml, rows: [["written", code(given.text)]], key: given.text };
      return { rows: [["is", "zero: no boundary equation gives it"]] };
    }
    if (item?.mathml) {
      return { math: item.mathml, rows: [["written", code(here(item, node))]], key: node.name };
    }
    if (!node.name.includes("/")) return { rows: [["is", code(node.tip)]], key: node.name };
    const rows = [["computes", code(node.tip)], ["in", `the equation of ${owner(node)}`]];
    return { rows, key: node.name };
  }

  heading(node, item) {
    const kind = node.kind === "boundary" ? "boundary" : (item?.role ?? node.kind);
    const name = item?.label ?? node.sign;
    const [base, below] = name.split("_");
    const what = element("p", "what", element("i", "", base));
    if (below) what.append(element("sub", "", element("i", "", below)));
    if (node.time !== null && item) {
      what.append(element("sup", "", `(${node.time})`));
    }
    what.append(element("small", "", kind));
    return what;
  }

  numbers(node, about, key, example) {
    const rows = [];
    const index = node.kind === "boundary" ? null : (about?.index ?? null);
    for (const [word, found] of [["value", example?.values], ["gradient", example?.gradients]]) {
      const shown = valueAt(found?.[key], index, node.time);
      if (shown !== undefined) rows.push([word, shown]);
    }
    return rows;
  }
}

// The variable in whose equation an operation stands.
function owner(node) {
  return node.name.split("/")[0];
}

// The equation at the node's step: t-1 becomes 2 in the column of 3.
function here(item, node) {
  if (node.time === null || !item.index || item.text.includes(" in steps")) return item.text;
  const written = new RegExp(`\\[${item.index}([+-]\\d+)?\\]`, "g");
  return item.text.replace(written, (_, shift) => `[${node.time + Number(shift ?? 0)}]`);
}

// A value as an element: the step's own, or all steps where the node stands for all of them.
function valueAt(values, index, time) {
  if (values === undefined) return undefined;
  if (index === null) return array(values);
  if (time !== null) {
    const value = Array.isArray(values) ? values[time - 1] : values[time];
    return value === undefined ? undefined : array(value);
  }
  const table = element("table", "steps");
  const steps = Array.isArray(values)
    ? values.map((value, k) => [k + 1, value])
    : Object.entries(values); // of a long sequence, those that are drawn
  let before = 0;
  for (const [step, value] of steps) {
    if (Number(step) > before + 1) table.append(stepRow("⋮", ""));
    table.append(stepRow(`${index} = ${step}`, array(value)));
    before = Number(step);
  }
  return table;
}

function stepRow(head, content) {
  const step = element("th", "", head);
  step.scope = "row";
  return element("tr", "", step, element("td", "", content));
}

function array(value) {
  if (!Array.isArray(value)) {
    if (value?.shape) return `an array (${value.shape.join(", ")}) of norm ${number(value.norm)}`;
    return element("span", "number", number(value));
  }
  const rows = Array.isArray(value[0]) ? value : [value];
  const exponent = scale(rows.flat());
  const table = element("table", "array");
  table.setAttribute("aria-label", Array.isArray(value[0]) ? "matrix" : "vector");
  for (const row of rows) {
    const cells = row.map((entry) => element("td", "number", number(entry, exponent)));
    table.append(element("tr", "", ...cells));
  }
  if (!exponent) return table;
  const factor = element("span", "factor", "10", element("sup", "", signed(exponent)), " ×");
  return element("div", "scaled", factor, table);
}

// The power of ten that is put before an array of very small or very large numbers.
function scale(entries) {
  const largest = Math.max(...entries.map((entry) => (isFinite(entry) ? Math.abs(entry) : 0)));
  return largest && (largest < 0.05 || largest >= 1e4) ? Math.floor(Math.log10(largest)) : 0;
}

function number(value, exponent) {
  if (typeof value !== "number") return String(value);
  if (exponent) return signed((value / 10 ** exponent).toFixed(2));
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return signed(value);
  if (exponent === 0 || (size >= 1e-2 && size < 1e5)) return signed(value.toFixed(3));
  return signed(value.toExponential(2));
}

// A number with a true minus sign, and none before a zero.
function signed(value) {
  return String(value).replace(/^-(?=[0.]*$)/, "").replaceAll("-", "−");
}

function counts(node) {
  if (node.kind === "parameter") {
    return [["uses", String(node.readers.size)]];
  }
  const [up, down] = ["reads", "readers"].map((along) => node.picture.reached(node, along).size);
  if (node.reach === 1) return [["reads", String(up)], ["read by", String(down)]];
  return [["ancestors", String(up)], ["descendants", String(down)]];
}
