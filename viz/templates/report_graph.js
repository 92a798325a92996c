// The pictures: redrawn for every length and level; hover, focus and click trace a node.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

class Workbench {
  constructor(data) {
    this.data = data;
    this.steps = data.choices.map((choice) => choice.start);
    this.level = data.levels[0];
    this.kept = null; // the node that a click keeps
    this.panel = new Panel(data, document.getElementById("details"));
    this.unfolded = new Picture(this, document.querySelector("#unfolded .picture"), Infinity);
    this.circuit = new Picture(this, document.querySelector("#circuit .picture"), 1);
  }

  get key() {
    return this.steps.join(",");
  }

  get direction() {
    return document.querySelector("input[name=trace]:checked").value;
  }

  start() {
    for (const slider of document.querySelectorAll("input.length")) {
      slider.addEventListener("input", () => this.setLength(slider));
    }
    for (const radio of document.querySelectorAll("input[name=level]")) {
      radio.checked = radio.value === this.level;
      radio.addEventListener("change", () => {
        this.level = radio.value;
        this.redraw();
      });
    }
    for (const radio of document.querySelectorAll("input[name=flow]")) {
      radio.addEventListener("change", () => this.redraw());
    }
    for (const radio of document.querySelectorAll("input[name=trace]")) {
      radio.addEventListener("change", () => this.show(this.kept));
    }
    const fullSize = document.getElementById("full-size");
    const resize = () =>
      document.querySelector(".pictures").classList.toggle("full-size", fullSize.checked);
    fullSize.addEventListener("change", resize);
    resize(); // a reloaded page may come back with the box ticked
    addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.keep(null);
    });
    document.querySelectorAll("input.length").forEach((slider) => this.setLength(slider, false));
    this.redraw();
  }

  // Which way the arrows of the unfolded graph go: forward, backward or both.
  get flow() {
    const offered = this.data.backward.includes(this.level);
    return offered ? document.querySelector("input[name=flow]:checked").value : "forward";
  }

  // A picture by its key; pictures share their lines, each told by its distance from the last.
  svg(key) {
    let number = 0;
    const lines = this.data.pictures[key].map((step) => this.data.lines[(number += step)]);
    return lines.join("\n");
  }

  setLength(slider, redraw = true) {
    const number = Number(slider.dataset.choice);
    const choice = this.data.choices[number];
    this.steps[number] = choice.steps[Number(slider.value)];
    document.getElementById(`length-${number}`).textContent = this.steps[number];
    slider.setAttribute("aria-valuetext", `${choice.length} = ${this.steps[number]}`);
    if (redraw) this.redraw();
  }

  redraw() {
    const keptIn = this.kept?.picture;
    const id = this.kept?.id;
    document.getElementById("flow")?.toggleAttribute("hidden", !this.data.backward.includes(this.level));
    const view = this.flow === "forward" ? "forward" : "backward";
    this.unfolded.draw(this.svg(`${view}:${this.level}:${this.key}`));
    this.unfolded.svg.classList.toggle("only-backward", this.flow === "backward");
    this.circuit.draw(this.svg(`circuit:${this.level}:`));
    const lengths = this.data.choices.map((choice, k) => `${choice.label} = ${this.steps[k]}`);
    document.querySelector("#unfolded .lengths").textContent = lengths.join(", ");
    this.keep(keptIn ? keptIn.node(id) : null);
  }

  keep(node) {
    if (this.kept) this.kept.element.setAttribute("aria-pressed", "false");
    this.kept = node;
    if (node) node.element.setAttribute("aria-pressed", "true");
    this.show(node);
  }

  // Shows a node in the panel and lights what it depends on and what depends on it.
  show(node) {
    for (const picture of [this.unfolded, this.circuit]) {
      picture.light(node?.picture === picture ? node : null, this.direction);
    }
    for (const row of document.querySelectorAll("[data-names].lit")) row.classList.remove("lit");
    if (node) {
      const name = node.name.split("/")[0];
      for (const shown of [name, `d_${name}`]) {
        const rows = document.querySelectorAll(`[data-names~="${CSS.escape(shown)}"]`);
        for (const row of rows) row.classList.add("lit");
      }
    }
    this.panel.show(node, this.data.values[this.key], this.steps);
  }
}

// One picture: its nodes, its edges, and how to move among them.
class Picture {
  constructor(workbench, container, reach) {
    this.workbench = workbench;
    this.container = container;
    this.reach = reach; // how many edges a trace follows: in a cycle, everything depends on everything
    const at = (event) => this.node(event.target.closest?.(".node")?.dataset.id);
    container.addEventListener("pointerover", (event) => {
      const node = at(event);
      if (node) workbench.show(node);
    });
    container.addEventListener("pointerleave", () => workbench.show(workbench.kept));
    container.addEventListener("focusin", (event) => at(event) && workbench.show(at(event)));
    container.addEventListener("focusout", () => workbench.show(workbench.kept));
    container.addEventListener("click", (event) => {
      const node = at(event);
      workbench.keep(node && node !== workbench.kept ? node : null);
    });
    container.addEventListener("keydown", (event) => this.press(event));
  }

  draw(svg) {
    this.container.innerHTML = svg;
    this.svg = this.container.firstElementChild;
    this.svg.setAttribute("role", "application");
    this.svg.setAttribute("aria-roledescription", "graph");
    const caption = this.svg.querySelector("desc")?.textContent ?? "Graph";
    this.svg.setAttribute("aria-label", `${caption} Arrow keys go from node to node.`);
    this.nodes = new Map();
    for (const drawn of this.svg.querySelectorAll(".node")) {
      const node = new GraphNode(this, drawn);
      this.nodes.set(node.id, node);
    }
    this.edges = [...this.svg.querySelectorAll(".edge, .trunk")].map((drawn) => {
      drawn.querySelector("title")?.remove();
      const { tail, head } = drawn.dataset;
      // a gradient flows against the dependency that it belongs to
      const back = drawn.matches(".adjoint, .gradient");
      return { element: drawn, back, tail: back ? head : tail, head: back ? tail : head };
    });
    for (const { tail, head } of this.edges) {
      if (tail) this.node(head)?.reads.add(tail);
      if (head) this.node(tail)?.readers.add(head);
    }
    const first = this.nodes.values().next().value;
    if (first) first.element.tabIndex = 0;
  }

  node(id) {
    return this.nodes?.get(id) ?? null;
  }

  // The ids within reach of a node, along `reads` or `readers`.
  reached(node, along) {
    const found = new Set();
    let front = [node];
    for (let depth = 0; front.length && depth < node.reach; depth++) {
      const ids = front.flatMap((each) => [...each[along]]).filter((id) => !found.has(id));
      for (const id of ids) found.add(id);
      front = [...new Set(ids)].map((id) => this.node(id)).filter(Boolean);
    }
    return found;
  }

  light(node, direction) {
    if (!this.svg) return;
    this.svg.classList.toggle("tracing", Boolean(node));
    const up = node && direction !== "down" ? this.reached(node, "reads") : new Set();
    const down = node && direction !== "up" ? this.reached(node, "readers") : new Set();
    for (const each of this.nodes.values()) {
      mark(each.element, each !== node && up.has(each.id), each !== node && down.has(each.id));
      each.element.classList.toggle("here", each === node);
    }
    for (const { element, tail, head } of this.edges) {
      // a trunk is the common part of several edges, and has only one end
      const [from, to] = [tail === undefined, head === undefined];
      const above = (from || up.has(tail)) && (to || up.has(head) || head === node?.id);
      const below = (from || down.has(tail) || tail === node?.id) && (to || down.has(head));
      mark(element, above && up.size > 0, below && down.size > 0);
    }
    this.prolong();
  }

  // Lights the rest of the way of lines that join another one, which is lit only as a whole.
  prolong() {
    for (const old of this.svg.querySelectorAll(".prolonged")) old.remove();
    for (const edge of this.edges) {
      const kind = ["up", "down"].find((name) => edge.element.classList.contains(name));
      const node = kind && this.node(edge.head);
      if (!node || (!edge.back && edge.element.querySelector("polygon"))) continue;
      const line = edge.element.querySelector("path");
      const from = line.getPointAtLength(edge.back ? 0 : line.getTotalLength());
      const [dx, dy] = [Math.abs(from.x - node.x), Math.abs(from.y - node.y)];
      if (dx < node.radius + 8 || dy > node.radius) continue;
      const path = line.cloneNode();
      path.setAttribute("d", `M${from.x} ${from.y}L${node.x} ${from.y}`);
      const rest = document.createElementNS(this.svg.namespaceURI, "g");
      rest.setAttribute("class", `${edge.element.getAttribute("class")} prolonged`);
      rest.append(path);
      this.svg.insertBefore(rest, this.svg.querySelector(".node")); // ends below its node
    }
  }

  press(event) {
    const node = this.node(event.target.dataset?.id);
    if (!node) return;
    if (event.key === "Enter" || event.key === " ") {
      this.workbench.keep(node === this.workbench.kept ? null : node);
    } else if (ARROWS[event.key]) {
      this.neighbour(node, ...ARROWS[event.key])?.focus();
    } else {
      return;
    }
    event.preventDefault();
  }

  // The nearest node in a direction, one straight ahead before one aside.
  neighbour(node, dx, dy) {
    const cost = (other) => {
      const [x, y] = [other.x - node.x, other.y - node.y];
      const ahead = x * dx + y * dy;
      return ahead > 1 ? ahead + 3 * Math.abs(x * dy + y * dx) : Infinity;
    };
    const others = [...this.nodes.values()].filter((other) => cost(other) < Infinity);
    return others.sort((a, b) => cost(a) - cost(b))[0];
  }
}

function mark(drawn, up, down) {
  drawn.classList.toggle("up", up);
  drawn.classList.toggle("down", down && !up);
}

class GraphNode {
  constructor(picture, drawn) {
    this.picture = picture;
    this.element = drawn;
    this.id = drawn.dataset.id;
    this.name = drawn.dataset.name ?? this.id;
    this.time = drawn.dataset.time === undefined ? null : Number(drawn.dataset.time);
    this.kind = drawn.classList[1];
    this.sign = [...drawn.querySelectorAll("text")].map((text) => text.textContent).join("");
    this.reads = new Set();
    this.readers = new Set();
    const title = drawn.querySelector("title");
    this.tip = title?.textContent ?? "";
    title?.remove();
    const box = drawn.getBBox();
    const { e, f } = drawn.transform.baseVal[0].matrix; // its place
    [this.x, this.y] = [e + box.x + box.width / 2, f + box.y + box.height / 2];
    this.radius = box.height / 2;
    drawn.tabIndex = -1;
    drawn.setAttribute("role", "button");
    drawn.setAttribute("aria-pressed", "false");
    const when = this.time === null ? "" : ` at step ${this.time}`;
    const what = this.name.includes("/") ? this.sign : this.name;
    drawn.setAttribute("aria-label", `${what}${when}, ${this.kind}`);
  }

  // A parameter's readers are its uses; what they lead to is not traced.
  get reach() {
    return this.kind === "parameter" ? 1 : this.picture.reach;
  }

  focus() {
    for (const other of this.picture.nodes.values()) other.element.tabIndex = -1;
    this.element.tabIndex = 0;
    this.element.focus();
  }
}
