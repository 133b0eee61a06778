// The lanes: entries from left to right, a lane for each kind of thing that happens, and
// under them the cells of each file. Only what is in sight is drawn.

const LANES = {label: 92, narrow: 64, row: 22, file: 14, cell: 10, most: 140, files: 6, rects: 3000, clients: 6};

// SIGNS are what an operation looks like, by the begin of its verb.
const SIGNS = [["write", "write"], ["sync", "sync"], ["truncate", "cut"], ["rename", "name"], ["create", "name"], ["remove", "name"],
  ["mkdir", "name"], ["link", "name"], ["open", "name"], ["read", "read"], ["stat", "read"]];

function signOf(operation) {
  const found = SIGNS.find(([begin]) => operation.verb.startsWith(begin));
  return found ? found[1] : "other";
}

// sign draws a small sign with its middle at x and y.
function sign(kind, x, y, more) {
  const at = {class: "sign sign-" + kind + (more || "")};
  switch (kind) {
  case "write":
    return svg("rect", {...at, x: x - 4, y: y - 5, width: 8, height: 10, rx: 1});
  case "sync":
    return svg("path", {...at, d: `M${x} ${y - 9}v18M${x - 4} ${y - 9}h8M${x - 4} ${y + 9}h8`});
  case "cut":
    return svg("path", {...at, d: `M${x - 4} ${y - 5}l8 10M${x + 4} ${y - 5}l-8 10`});
  case "name":
    return svg("circle", {...at, cx: x, cy: y, r: 4});
  case "read":
    return svg("rect", {...at, x: x - 3, y: y - 3, width: 6, height: 6});
  case "point":
    return svg("path", {...at, d: `M${x} ${y - 5}l4 5-4 5-4-5z`});
  case "fault":
    return svg("path", {...at, d: `M${x} ${y - 7}l6 12h-12z`});
  case "crash":
    return svg("path", {...at, d: `M${x + 2} ${y - 9}l-6 10h4l-2 8 6-10h-4z`});
  case "opened":
    return svg("path", {...at, d: `M${x - 5} ${y}a5 5 0 1 1 2 4M${x - 6} ${y + 5}l3-1 0-3`});
  case "good":
    return svg("path", {...at, d: `M${x - 5} ${y}l4 4 6-9`});
  case "bad":
    return svg("path", {...at, d: `M${x - 5} ${y - 5}l10 10M${x + 5} ${y - 5}l-10 10`});
  default:
    return svg("circle", {...at, cx: x, cy: y, r: 2.5});
  }
}

// LEGEND says what the signs mean.
const LEGEND = [["write", "write"], ["sync", "sync, after which more is durable"], ["cut", "truncate"], ["name", "create, rename, remove"],
  ["read", "read"], ["point", "named point of the engine"], ["fault", "injected fault"], ["crash", "power loss or kill"],
  ["opened", "log opened"], ["bad", "broken"]];

// Lanes draws the lanes into an svg element.
class Lanes {
  constructor(element, entries, disks) {
    this.element = element;
    this.entries = entries;
    this.disks = disks;
    this.first = 0;
    this.zoom = 0; // pixels of an entry; 0: what fits
    this.calls = this.spans();
  }

  // spans finds for each answer the call that it answers, client by client.
  spans() {
    const open = new Map(), answers = new Map(), calls = new Map();
    this.entries.forEach((entry, n) => {
      const who = entry.life + " " + (entry.client || "");
      if (entry.kind === "call") {
        open.set(who, n);
        calls.set(n, undefined);
      } else if (entry.kind === "answer" && open.has(who)) {
        calls.set(open.get(who), n);
        answers.set(n, open.get(who));
        open.delete(who);
      }
    });
    // Behind a crash nobody answers.
    let end = this.entries.length;
    for (let n = this.entries.length - 1; n >= 0; n--) {
      if (n + 1 < this.entries.length && this.entries[n + 1].life !== this.entries[n].life) {
        end = n + 1;
      }
      if (calls.has(n) && calls.get(n) === undefined) {
        calls.set(n, end - 1);
      }
    }
    return {calls, answers};
  }

  // resize measures the room for the lanes.
  resize() {
    this.width = Math.max(240, this.element.parentElement.clientWidth);
    this.left = this.width < 600 ? LANES.narrow : LANES.label;
  }

  // measure finds how many entries are in sight, and moves them so that n is.
  measure(n) {
    const total = this.entries.length;
    const room = this.width - this.left - 8;
    const fits = Math.min(26, Math.max(10, room / Math.max(1, total)));
    this.step = this.zoom || fits;
    this.count = Math.min(total, Math.max(1, Math.floor(room / this.step)));
    const margin = Math.floor(this.count / 8);
    let first = this.first;
    if (n < first + margin) {
      first = n - margin;
    } else if (n > first + this.count - 1 - margin) {
      first = n - this.count + 1 + margin;
    }
    this.first = Math.max(0, Math.min(first, total - this.count));
    this.behind = Math.min(total, this.first + this.count);
  }

  // x is the middle of an entry's column.
  x(n) {
    return this.left + (n - this.first + 0.5) * this.step;
  }

  // entryAt is the entry at a place of the screen.
  entryAt(clientX) {
    const x = clientX - this.element.getBoundingClientRect().left;
    const n = this.first + Math.floor((x - this.left) / this.step);
    return Math.max(this.first, Math.min(this.behind - 1, n));
  }

  // draw shows the lanes around entry n. Where nothing but n is new, it moves the cursor.
  draw(n) {
    this.measure(n);
    const view = [this.first, this.count, this.width, this.step].join(" ");
    if (view !== this.view) {
      this.view = view;
      this.paint();
    }
    this.cursor.setAttribute("x", this.x(n) - this.step / 2);
    this.cursor.setAttribute("width", this.step);
  }

  paint() {
    const parts = [];
    let y = 0;
    const lane = (name, height) => {
      parts.push(svg("line", {class: "rule", x1: 0, x2: this.width, y1: y + height, y2: y + height}));
      parts.push(svg("text", {class: "lane-name", x: 0, y: y + height / 2 + 4}, name));
      y += height;
      return y - height / 2;
    };
    const seen = [];
    for (let n = this.first; n < this.behind; n++) {
      seen.push(this.entries[n]);
    }
    this.lives(parts, lane("life", 22));
    this.steps(parts, lane("steps", 24));
    y = this.callers(parts, y, lane);
    const points = lane("points", LANES.row), ops = lane("operations", 30), faults = lane("faults", LANES.row), ends = lane("recovery", LANES.row + 4);
    for (const entry of seen) {
      this.one(parts, entry, points, ops, faults, ends);
    }
    y = this.files(parts, y + 4);
    for (const entry of seen) {
      if (entry.kind === "crash") {
        const x = this.x(entry.n);
        parts.push(svg("line", {class: "crash-line", x1: x, x2: x, y1: 0, y2: y}));
      }
    }
    this.cursor = svg("rect", {class: "cursor", y: 0, height: y, rx: 2});
    this.element.replaceChildren(...parts, this.cursor);
    this.element.setAttribute("viewBox", `0 0 ${this.width} ${y}`);
    this.element.setAttribute("width", this.width);
    this.element.setAttribute("height", y);
  }

  // stretches calls each with neighbours in sight of which key says the same.
  stretches(key, each) {
    for (let n = this.first; n < this.behind;) {
      const from = n, value = key(this.entries[n]);
      while (n < this.behind && key(this.entries[n]) === value) {
        n++;
      }
      each(value, from, n);
    }
  }

  // box draws a bar with as much of a text as there is room for.
  box(parts, kind, from, behind, y, height, text) {
    const x = this.x(from) - this.step / 2, width = (behind - from) * this.step;
    parts.push(svg("rect", {class: kind, x: x + 0.5, y: y - height / 2, width: Math.max(1, width - 1), height, rx: 3}, svg("title", {}, visible(text))));
    const letters = Math.floor((width - 8) / 6.6);
    if (letters > 2) {
      const shown = visible(text);
      parts.push(svg("text", {class: "bar-text", x: x + 5, y: y + 4}, shown.length > letters ? shown.slice(0, letters - 1) + "…" : shown));
    }
  }

  lives(parts, y) {
    this.stretches(entry => entry.life, (life, from, behind) => {
      this.box(parts, "life life-" + (life % 2), from, behind, y, 16, life === 0 ? "0: the workload" : life + ": after crash " + life);
    });
  }

  steps(parts, y) {
    this.stretches(entry => entry.life + " " + (entry.step || 0), (key, from, behind) => {
      const entry = this.entries[from];
      if (!entry.step) {
        return;
      }
      let begin = from;
      while (begin > 0 && this.entries[begin].kind !== "step" && this.entries[begin - 1].step === entry.step && from - begin < 2000) {
        begin--;
      }
      const text = this.entries[begin].kind === "step" ? this.entries[begin].text : "step " + entry.step;
      this.box(parts, "step", from, behind, y, 18, text.replace(/^step /, ""));
    });
  }

  // callers draws a row for each client that has a call in sight.
  callers(parts, y, lane) {
    const inSight = [];
    for (const [call, answer] of this.calls.calls) {
      if (call < this.behind && answer >= this.first) {
        inSight.push([call, answer]);
      }
    }
    const names = [...new Set(inSight.map(([call]) => this.entries[call].client || ""))].sort();
    const rows = Math.max(1, Math.min(LANES.clients, names.length));
    const height = rows === 1 ? LANES.row : rows * 17 + 4;
    const middle = lane("calls", height);
    for (const [call, answer] of inSight) {
      const row = names.indexOf(this.entries[call].client || "") % rows;
      const at = rows === 1 ? middle : middle - height / 2 + 10.5 + row * 17;
      const failed = this.entries[answer].failed ? " failed" : "";
      const who = this.entries[call].client;
      this.box(parts, "call" + failed, Math.max(call, this.first), Math.min(answer + 1, this.behind), at, 15, (who ? who + ": " : "") + this.entries[call].text);
    }
    return y + height;
  }

  one(parts, entry, points, ops, faults, ends) {
    const x = this.x(entry.n);
    const titled = drawn => {
      drawn.append(svg("title", {}, visible(entry.text)));
      parts.push(drawn);
    };
    const failed = entry.failed ? " failed" : "";
    switch (entry.kind) {
    case "point":
      titled(sign("point", x, points));
      break;
    case "op":
      titled(sign(entry.op ? signOf(entry.op) : "other", x, ops, failed));
      break;
    case "fault":
      titled(sign("fault", x, faults));
      break;
    case "crash":
      titled(sign("crash", x, ends));
      break;
    case "opened":
      titled(sign("opened", x, ends, failed));
      break;
    case "verdict":
      titled(sign(entry.failed ? "bad" : "good", x, ends));
      break;
    }
  }

  // files draws the cells of those files that change in sight, or are there.
  files(parts, y) {
    const before = this.disks.at(this.first - 1).files;
    const changes = new Map();
    for (let n = this.first; n < this.behind; n++) {
      for (const change of this.entries[n].disk || []) {
        if (!changes.has(change.file)) {
          changes.set(change.file, []);
        }
        changes.get(change.file).push([n, change]);
      }
    }
    const numbers = [...new Set([...changes.keys(), ...before.keys()])].filter(number =>
      [...(before.get(number) || {runs: []}).runs].some(run => run.state !== "gone") || (changes.get(number) || []).some(([, change]) => change.of === "cells"));
    numbers.sort((a, b) => (changes.get(b) || []).length - (changes.get(a) || []).length || a - b);
    const shown = numbers.slice(0, LANES.files).sort((a, b) => a - b);
    this.hidden = numbers.length - shown.length;
    this.thinned = false;
    for (const number of shown) {
      y = this.file(parts, y, before.get(number), changes.get(number) || []);
    }
    return y;
  }

  file(parts, y, file, changes) {
    let end = file ? file.end : 0;
    let path = file ? file.path : "";
    for (const [, change] of changes) {
      path = path && change.of === "name" && (change.removal || change.state === "gone") ? path : change.path;
      end = change.of === "cells" ? Math.max(end, change.to || 0) : end;
    }
    const height = Math.min(LANES.most, Math.max(LANES.file, end * LANES.cell));
    const scale = height / Math.max(1, end);
    let runs = alike(file ? file.runs : []).map(run => ({...run, since: this.first}));
    // What is not durable lies above what is, and is never too thin to be seen.
    const below = [], above = [];
    const rect = (run, behind) => {
      if (run.state === "gone" || run.since >= behind) {
        return;
      }
      if (below.length + above.length >= LANES.rects) {
        this.thinned = true;
        return;
      }
      const state = STATES.includes(run.state) ? run.state : "gone";
      const list = state === "durable" ? below : above;
      list.push(svg("rect", {
        fill: `url(#s-${state})`, class: "stretch", x: this.x(run.since) - this.step / 2, y: y + run.from * scale,
        width: (behind - run.since) * this.step, height: Math.max(list === above ? 2 : 1, (run.to - run.from) * scale - (scale > 4 ? 1 : 0)),
      }, svg("title", {}, `cells ${range(run.from, run.to)} of ${visible(path)}: ${state}`)));
    };
    for (const [n, change] of changes) {
      const run = cellsOf(change, n);
      if (run) {
        runs = splice(runs, {...run, since: n}, covered => rect(covered, n));
      }
    }
    for (const run of runs) {
      rect(run, this.behind);
    }
    parts.push(...below, ...above);
    const name = visible(path), letters = Math.floor((this.left - 6) / 6.6);
    parts.push(svg("text", {class: "lane-name", x: 0, y: y + Math.min(height / 2, 40) + 4}, name.length > letters ? "…" + name.slice(1 - letters) : name, svg("title", {}, name)));
    parts.push(svg("line", {class: "rule", x1: 0, x2: this.width, y1: y + height + 4, y2: y + height + 4}));
    return y + height + 8;
  }
}

// Overview draws the whole run in one strip: lives, how many cells were pending, faults
// and crashes.
class Overview {
  constructor(element, entries, disks) {
    this.element = element;
    this.entries = entries;
    this.disks = disks;
  }

  x(n) {
    return 8 + (this.width - 16) * n / Math.max(1, this.entries.length - 1); // where the knob of the slider is
  }

  // resize measures the room for the strip, and draws it.
  resize() {
    this.width = Math.max(100, this.element.parentElement.clientWidth);
    this.paint();
  }

  // draw shows where entry n is, and what of the strip is in sight of the lanes.
  draw(lanes, n) {
    const from = this.x(lanes.first), to = this.x(Math.max(lanes.first, lanes.behind - 1));
    this.sight.setAttribute("x", from - 2);
    this.sight.setAttribute("width", to - from + 4);
    this.now.setAttribute("x1", this.x(n));
    this.now.setAttribute("x2", this.x(n));
  }

  paint() {
    const height = 44, base = 40, parts = [];
    const most = this.disks.pending.reduce((a, b) => Math.max(a, b), 1);
    const columns = Math.min(this.entries.length, Math.ceil(this.width / 2));
    let area = `M${this.x(0)} ${base}`;
    const marks = new Map();
    let life = -1;
    for (let column = 0; column < columns; column++) {
      const from = Math.floor(column * this.entries.length / columns), behind = Math.floor((column + 1) * this.entries.length / columns);
      let pending = 0;
      for (let n = from; n < behind; n++) {
        const entry = this.entries[n];
        pending = Math.max(pending, this.disks.pending[n]);
        if (entry.kind === "crash" || entry.kind === "fault" || entry.kind === "verdict" && entry.failed) {
          marks.set(entry.kind + " " + column, [entry.kind, n]);
        }
        if (entry.life !== life) {
          parts.unshift(svg("rect", {class: "life life-" + (entry.life % 2), x: this.x(n), y: 0, width: this.width - this.x(n), height}));
          life = entry.life;
        }
      }
      const y = base - 30 * pending / most;
      area += `L${this.x(from)} ${y}` + (behind > from + 1 ? `L${this.x(behind - 1)} ${y}` : "");
    }
    parts.reverse(); // a later life lies over an earlier one
    parts.push(svg("path", {class: "risk", d: area + `L${this.x(this.entries.length - 1)} ${base}z`}));
    for (const [kind, n] of marks.values()) {
      const x = this.x(n);
      parts.push(kind === "fault" ? sign("fault", x, 8) : svg("line", {class: "crash-line", x1: x, x2: x, y1: 0, y2: height}));
    }
    this.sight = svg("rect", {class: "sight", y: 1, height: height - 2, rx: 3});
    this.now = svg("line", {class: "now", y1: 0, y2: height});
    this.element.replaceChildren(...parts, this.sight, this.now);
    this.element.setAttribute("viewBox", `0 0 ${this.width} ${height}`);
    this.element.setAttribute("width", this.width);
    this.element.setAttribute("height", height);
  }
}
