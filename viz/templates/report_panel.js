// The panel: what a node is, its equation, value, gradient and shape.

class Panel {
  constructor(data, place) {
    this.data = data;
    this.place = place;
  }

  show(node, example) {
    if (!node) {
      this.place.replaceChildren(
        element("p", "hint", "Point at a node, or reach one with the Tab key."),
      );
      return;
    }
    const item = this.data.items[node.name];
    const parts = [this.heading(node, item)];
    const rows = [];
    if (item?.mathml && node.kind !== "boundary") {
      const box = element("div", "equation");
      box.innerHTML = item.mathml; // written by the library, every name in it escaped
      parts.push(box);
      rows.push(["written", element("code", "", here(item, node))]);
    } else if (node.tip) {
      rows.push([node.kind === "operation" ? "computes" : "is", element("code", "", node.tip)]);
    }
    if (node.kind === "operation") rows.push(["in", `the equation of ${node.name.split("/")[0]}`]);
    if (item) {
      rows.push(["shape", item.shape]);
      if (example?.error) rows.push(["value", `none: ${example.error}`]);
      else rows.push(...this.numbers(node, item, example));
    }
    rows.push(...counts(node));
    const list = element("dl");
    for (const [term, meaning] of rows) {
      list.append(element("dt", "", term), element("dd", "", meaning));
    }
    this.place.replaceChildren(...parts, list);
  }

  heading(node, item) {
    const kind = node.kind === "boundary" ? "boundary" : (item?.role ?? node.kind);
    const name = node.kind === "operation" || !item ? node.sign : item.label;
    const [base, below] = name.split("_");
    const what = element("p", "what", element("i", "", base));
    if (below) what.append(element("sub", "", below));
    if (node.time !== null && node.kind !== "operation") {
      what.append(element("sup", "", `(${node.time})`));
    }
    what.append(element("small", "", kind));
    return what;
  }

  numbers(node, item, example) {
    const rows = [];
    const value = at(example?.values[node.name], item, node);
    if (value !== undefined) rows.push(["value", value]);
    const gradient = at(example?.gradients[node.name], item, node);
    if (gradient !== undefined) rows.push(["gradient", gradient]);
    return rows;
  }
}

// The equation at the node's step: t-1 becomes 2 in the column of 3.
function here(item, node) {
  if (node.time === null || !item.index || item.text.includes(" in steps")) return item.text;
  const written = new RegExp(`\\[${item.index}([+-]\\d+)?\\]`, "g");
  return item.text.replace(written, (_, shift) => `[${node.time + Number(shift ?? 0)}]`);
}

// A node's value as an element; all steps where the node stands for all of them.
function at(values, item, node) {
  if (values === undefined) return undefined;
  if (!item.index) return array(values);
  if (node.time !== null) {
    const value = values[node.time - 1];
    return value === undefined ? undefined : array(value);
  }
  const table = element("table", "steps");
  values.forEach((value, k) => {
    const step = element("th", "", `${item.index} = ${k + 1}`);
    step.scope = "row";
    table.append(element("tr", "", step, element("td", "", array(value))));
  });
  return table;
}

function array(value) {
  if (!Array.isArray(value)) {
    if (value?.shape) return `an array (${value.shape.join(", ")}) of norm ${number(value.norm)}`;
    return element("span", "number", number(value));
  }
  const table = element("table", "array");
  table.setAttribute("aria-label", Array.isArray(value[0]) ? "matrix" : "vector");
  for (const row of Array.isArray(value[0]) ? value : [value]) {
    const cells = row.map((entry) => element("td", "number", number(entry)));
    table.append(element("tr", "", ...cells));
  }
  return table;
}

function number(value) {
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  const plain = value === 0 || (size >= 1e-2 && size < 1e5);
  const text = Number.isInteger(value) ? String(value) : plain ? value.toFixed(3) : value.toExponential(2);
  return text.replaceAll("-", "−");
}

function counts(node) {
  if (node.kind === "parameter") {
    return [["uses", String(node.readers.size)]];
  }
  const [up, down] = ["reads", "readers"].map((along) => node.picture.reached(node, along).size);
  if (node.reach === 1) return [["reads", String(up)], ["read by", String(down)]];
  return [["ancestors", String(up)], ["descendants", String(down)]];
}
