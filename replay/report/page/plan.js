// The page of a plan: one entry is chosen, and everything shows it.

const SHOWN = {squares: 256, ranges: 16, losses: 24, near: 7};

const entries = data.entries;
const disks = new Disks(entries);
const lanes = new Lanes(byId("lanes"), entries, disks);
const overview = new Overview(byId("overview"), entries, disks);
const slider = byId("slider");
let chosen = 0;
let diskWidth = 0; // pixels

// stops are where steps begin: those of the plan, and each life.
const stops = entries.filter(entry => entry.kind === "step" || entry.n === 0 || entry.life !== entries[entry.n - 1].life).map(entry => entry.n);
const crashes = entries.filter(entry => entry.kind === "crash").map(entry => entry.n);
const troubles = entries.filter(entry => entry.kind === "fault" || entry.failed).map(entry => entry.n);

// jump is a button that goes to an entry.
function jump(n, text, more) {
  return html("button", {type: "button", class: "jump" + (more || ""), "data-entry": n}, visible(text));
}

// choose shows entry n.
function choose(n) {
  if (entries.length === 0) {
    return;
  }
  chosen = Math.max(0, Math.min(entries.length - 1, n));
  const entry = entries[chosen], disk = disks.at(chosen);
  slider.value = chosen;
  const text = `${chosen + 1} of ${entries.length}: ${visible(entry.text)}`;
  slider.setAttribute("aria-valuetext", text);
  byId("where").replaceChildren(html("b", {}, `entry ${chosen} of ${entries.length - 1} `), badge(entry), " " + visible(entry.text));
  lanes.draw(chosen);
  overview.draw(lanes, chosen);
  const notes = [];
  if (lanes.hidden > 0) {
    notes.push(`${counted(lanes.hidden, "more file")}: see the disk below`);
  }
  if (lanes.thinned) {
    notes.push("some cells are left out here: the disk below has all");
  }
  byId("lanes-note").textContent = notes.join("; ");
  byId("lanes-note").hidden = notes.length === 0;
  showEntry(entry);
  showNear();
  showDisk(disk, entry);
  showLoss(disk, entry);
  remember();
}

function badge(entry) {
  return html("span", {class: "badge k-" + entry.kind + (entry.failed ? " failed" : "")}, visible(entry.kind));
}

// facts is a list of names and values; what is empty is left out.
function facts(...pairs) {
  const list = html("dl", {class: "facts"});
  for (const [name, value] of pairs) {
    if (value !== undefined && value !== "" && value !== null) {
      list.append(html("div", {}, html("dt", {}, name), html("dd", {}, value)));
    }
  }
  return list;
}

function showEntry(entry) {
  const parts = [html("p", {class: "said"}, badge(entry), " " + visible(entry.text))];
  const op = entry.op;
  const pairs = [
    ["life", entry.life === 0 ? "0: the workload" : `${entry.life}: after crash ${entry.life}`],
    ["step", entry.step ? String(entry.step) : ""],
    ["client", visible(entry.client || "")],
    ["simulated time", visible(entry.time || "")],
    ["crash line", visible(entry.line || "")],
    ["digest so far", visible(entry.digest || "")],
  ];
  if (op) {
    const bytes = (op.length || 0) > 0 && op.verb !== "truncate" ? `${thousands(op.offset || 0)}–${thousands((op.offset || 0) + op.length - 1)}` : "";
    pairs.push(
      ["operation", `${op.index} of this life: ${visible(op.verb)}`],
      ["file", visible(op.path)],
      ["new name", visible(op.to || "")],
      ["bytes", bytes && `${bytes}, ${thousands(op.length)} of them`],
      ["new size", op.verb === "truncate" ? thousands(op.length || 0) : ""],
      ["error", op.error ? html("span", {class: "wrong"}, visible(op.error)) : ""],
      ["barrier", op.barrier ? "yes: some images that were possible before are not any more" : ""],
    );
  }
  parts.push(facts(...pairs));
  if (op && op.data) {
    parts.push(html("h3", {}, "Bytes"), html("pre", {class: "dump scroll", id: "dump", tabindex: 0, "data-keys": "own"}, dump(bytesOf(op.data), op.offset || 0, innerWidth < 600 ? 8 : 16)));
    const missing = op.length - bytesOf(op.data).length;
    if (missing > 0) {
      parts.push(html("p", {class: "note"}, `${counted(missing, "byte")} more are not in this page`));
    }
  }
  if (entry.callers) {
    parts.push(html("h3", {}, "Asked for by"), html("ol", {class: "callers", id: "callers"},
      ...entry.callers.map(i => html("li", {}, html("code", {}, visible(data.callers[i]))))));
  }
  if (entry.disk) {
    parts.push(html("h3", {}, "What became of the disk"), changesOf(entry));
  }
  byId("entry").replaceChildren(...parts);
}

function changesOf(entry) {
  const list = html("ul", {class: "changes"});
  for (const change of entry.disk.slice(0, 4 * SHOWN.losses)) {
    let what = "";
    if (change.of === "cells") {
      what = `${change.to - (change.from || 0) === 1 ? "cell" : "cells"} ${range(change.from || 0, change.to)} of ${change.path}`;
    } else if (change.of === "size") {
      what = `size of ${change.path}: ${thousands(change.size || 0)}`;
    } else {
      what = `${change.removal ? "removal of the name" : "name"} ${change.path}`;
    }
    list.append(html("li", {}, chip(change.state), " " + visible(what)));
  }
  if (entry.disk.length > 4 * SHOWN.losses) {
    list.append(html("li", {}, `and ${counted(entry.disk.length - 4 * SHOWN.losses, "more change")}`));
  }
  return list;
}

// chip is a state in words, with its colour.
function chip(state) {
  const known = STATES.includes(state) ? state : "gone";
  return html("span", {class: "chip"}, svg("svg", {width: 14, height: 14, viewBox: "0 0 14 14", "aria-hidden": "true"}, ...square(known, 0, 0, 14)), visible(state));
}

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), c => c.charCodeAt(0));
}

// dump writes bytes as a hex dump with a line for each cell that begins.
function dump(bytes, offset, width) {
  const lines = [];
  let cell = -1;
  for (let i = 0; i < bytes.length;) {
    const at = offset + i;
    if (Math.floor(at / data.cell) !== cell) {
      cell = Math.floor(at / data.cell);
      lines.push(`          cell ${cell}`);
    }
    // A line ends where its cell does.
    const n = Math.min(width, bytes.length - i, (cell + 1) * data.cell - at);
    const part = bytes.subarray(i, i + n);
    const hex = Array.from(part, b => b.toString(16).padStart(2, "0")).join(" ");
    const text = Array.from(part, b => b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : ".").join("");
    lines.push(`${String(at).padStart(8)}  ${hex.padEnd(3 * width - 1)}  ${text}`);
    i += n;
  }
  return lines.join("\n");
}

function showNear() {
  const list = [];
  const behind = Math.min(entries.length, Math.max(0, chosen - SHOWN.near) + 2 * SHOWN.near + 1);
  const first = Math.max(0, behind - 2 * SHOWN.near - 1);
  for (let n = first; n < behind; n++) {
    const entry = entries[n];
    list.push(html("li", {"aria-current": n === chosen && "true"}, html("button", {type: "button", "data-entry": n},
      html("span", {class: "number"}, String(n)), badge(entry), html("span", {class: "words"}, visible(entry.text)))));
  }
  byId("near").replaceChildren(...list);
}

// square draws a cell of a state: colour, pattern and letter.
function square(state, x, y, size, more) {
  const parts = [svg("rect", {x: x + 1, y: y + 1, width: size - 2, height: size - 2, rx: 2, fill: `url(#s-${state})`, ...more, class: `square q-${state} ${more ? more.class : ""}`})];
  if (LETTER[state]) {
    const high = Math.min(size - 4, 14), middle = size / 2;
    parts.push(svg("text", {class: "letter q-" + state, "font-size": high, x: x + middle, y: y + middle + 0.36 * high}, LETTER[state]));
  }
  return parts;
}

// drawn remembers what each file looked like, since most do not change.
const drawn = new Map();

function showDisk(disk, entry) {
  const namesOf = new Map();
  for (const [path, name] of disk.names) {
    namesOf.set(name.file, [...(namesOf.get(name.file) || []), [path, name]]);
  }
  const touched = new Set((entry.disk || []).map(change => change.file));
  const list = [];
  for (const file of [...disk.files.values()].sort((a, b) => a.number - b.number)) {
    const names = namesOf.get(file.number) || [], fresh = touched.has(file.number);
    if (names.length === 0 && !fresh && file.runs.every(run => run.state === "gone")) {
      continue;
    }
    const old = drawn.get(file.number), key = JSON.stringify([names, diskWidth]);
    if (old && old.file === file && old.key === key && !old.fresh && !fresh) {
      list.push(old.shown);
      continue;
    }
    const shown = showFile(file, names, entry);
    drawn.set(file.number, {file, key, shown, fresh});
    list.push(shown);
  }
  if (list.length === 0) {
    list.push(html("p", {class: "note"}, "Nothing is on it."));
  }
  replace(byId("disk"), list);
}

// replace gives an element these children, and leaves those alone that are in their place.
function replace(parent, list) {
  list.forEach((child, i) => {
    const old = parent.children[i];
    if (old !== child) {
      if (old && !list.includes(old)) {
        old.replaceWith(child);
      } else {
        parent.insertBefore(child, old || null);
      }
    }
  });
  while (parent.children.length > list.length) {
    parent.lastElementChild.remove();
  }
}

function showFile(file, names, entry) {
  const head = html("h3", {class: "file"}, ...names.flatMap(([path, name]) =>
    [html("code", {class: name.removal && "removed"}, visible(path)), name.removal ? " removed: " : " ", name.state === "durable" ? "" : chip(name.state)]));
  if (names.length === 0) {
    head.append(html("code", {}, visible(file.path)), html("span", {class: "note"}, " no name leads to it"));
  }
  const parts = [head];
  if (file.state !== "gone" || file.end > 0) {
    const size = html("p", {class: "size"}, `${counted(file.size, "byte")} `);
    if (file.state !== "durable" && file.state !== "gone") {
      size.append(chip(file.state));
    }
    parts.push(size);
  }
  if (file.end > 0) {
    parts.push(squares(file, entry), ranges(file));
  }
  return html("div", {class: "of-file", "data-file": file.number}, ...parts);
}

// squares draws the cells of a file: one square each, or one for several, which then
// shows the worst of them.
function squares(file, entry) {
  const size = file.end <= 48 ? 30 : 20, per = Math.max(1, Math.ceil(file.end / SHOWN.squares)), count = Math.ceil(file.end / per);
  const columns = Math.max(8, Math.min(32, 8 * Math.floor((diskWidth - 4) / size / 8)));
  const shown = Array.from({length: count}, () => ({rank: STATES.length - 1, run: null, now: false}));
  for (const run of file.runs) {
    const rank = STATES.indexOf(run.state);
    for (let i = Math.floor(run.from / per); i <= Math.floor((run.to - 1) / per); i++) {
      if (rank >= 0 && rank <= shown[i].rank) {
        shown[i].rank = rank;
        shown[i].run = run;
      }
      shown[i].now = shown[i].now || run.n === entry.n;
    }
  }
  const parts = [];
  shown.forEach(({rank, run, now}, i) => {
    const x = (i % columns) * size, y = Math.floor(i / columns) * size, state = STATES[rank];
    const from = i * per, to = Math.min(file.end, from + per);
    parts.push(...square(state, x + 1, y + 1, size - 2, {class: "cell" + (now ? " fresh" : ""), "data-cell": from, "data-to": to, "data-state": state, "data-entry": run ? run.n : undefined}));
  });
  const wide = Math.min(count, columns) * size, high = Math.ceil(count / columns) * size;
  const picture = svg("svg", {class: "squares", width: wide, height: high, viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": `cells of ${visible(file.path)}: ${inWords(file)}`}, ...parts);
  const box = html("div", {class: "scroll"}, picture);
  if (per > 1) {
    box.append(html("p", {class: "note"}, `a square is ${per} cells, and shows the worst of them`));
  }
  return box;
}

function inWords(file) {
  const runs = alike(file.runs).filter(run => run.state !== "gone");
  const words = runs.slice(0, SHOWN.ranges).map(run => `${range(run.from, run.to)} ${run.state}`);
  if (runs.length > SHOWN.ranges) {
    words.push(`and ${counted(runs.length - SHOWN.ranges, "more range")}`);
  }
  return words.join(", ") || "none";
}

// A square says what it is when it is pointed at.
byId("disk").addEventListener("pointerover", event => {
  const cell = event.target.closest(".cell");
  if (cell && !cell.firstChild) {
    const from = Number(cell.dataset.cell), to = Number(cell.dataset.to);
    cell.append(svg("title", {}, `${to - from === 1 ? "cell" : "cells"} ${range(from, to)}, bytes ${thousands(from * data.cell)}–${thousands(to * data.cell - 1)}: ${cell.dataset.state}` +
      (cell.dataset.entry ? `, by entry ${cell.dataset.entry}` : "")));
  }
});

function ranges(file) {
  return html("p", {class: "ranges"}, visible(inWords(file)));
}

// showTaken sums up what a crash did.
function showTaken(entry) {
  const sum = new Map();
  for (const change of entry.disk || []) {
    const pieces = change.of === "cells" ? (change.to || 0) - (change.from || 0) : 1;
    sum.set(change.state, (sum.get(change.state) || 0) + pieces);
  }
  if (sum.size === 0) {
    byId("loss").replaceChildren(html("p", {class: "calm"}, "It did fail here, and took nothing: all was durable."));
    return;
  }
  byId("loss").replaceChildren(html("p", {}, "It did fail here. Of the cells, sizes and names that were pending:"),
    html("ul", {class: "losses"}, ...[...sum].map(([state, pieces]) => html("li", {}, chip(state), thousands(pieces)))),
    html("p", {class: "note"}, "The entry says which. The entry before it shows what else could have been taken."));
}

function showLoss(disk, entry) {
  if (entry.kind === "crash") {
    showTaken(entry);
    return;
  }
  const losses = [];
  for (const [path, name] of disk.names) {
    if (name.state === "pending") {
      losses.push([`the ${name.removal ? "removal of the name" : "name"} ${path}`, name.by ?? name.n]);
    }
  }
  for (const file of disk.files.values()) {
    if (file.state === "pending") {
      losses.push([`the size ${thousands(file.size)} of ${file.path}`, file.by]);
    }
    let last = null;
    for (const run of file.runs) {
      if (run.state !== "pending") {
        continue;
      }
      if (last && last.to === run.from && last.by === run.by) {
        last.to = run.to;
      } else {
        last = {...run};
        losses.push([last, run.by ?? run.n, file]);
      }
    }
  }
  if (losses.length === 0) {
    byId("loss").replaceChildren(html("p", {class: "calm"}, "A power loss here takes nothing: all is durable."));
    return;
  }
  losses.sort((a, b) => a[1] - b[1]);
  const list = html("ul", {class: "losses", id: "losses"});
  for (const [what, by, file] of losses.slice(0, SHOWN.losses)) {
    const text = typeof what === "string" ? what : `${what.to - what.from === 1 ? "cell" : "cells"} ${range(what.from, what.to)} of ${file.path}, bytes ${thousands(what.from * data.cell)}–${thousands(what.to * data.cell - 1)}`;
    const item = html("li", {}, visible(text));
    if (entries[by]) {
      item.append(" ", jump(by, `made by entry ${by}`));
    }
    list.append(item);
  }
  if (losses.length > SHOWN.losses) {
    list.append(html("li", {}, `and ${counted(losses.length - SHOWN.losses, "more piece")}`));
  }
  byId("loss").replaceChildren(
    html("p", {}, `A power loss may take each of these, or leave it, as far as the disk ${visible(data.disk)} leaves that open:`), list);
}

// remember puts the entry into the address, once the reader rests.
let resting = 0;
function remember() {
  clearTimeout(resting);
  resting = setTimeout(() => history.replaceState(null, "", "#entry-" + chosen), 400);
}

// beside is the first of places behind n, or the last before it.
function beside(places, n, direction) {
  return direction > 0 ? places.find(place => place > n) : places.findLast(place => place < n);
}

function go(n) {
  if (n !== undefined && entries.length > 0) {
    choose(n);
    say(`entry ${chosen}: ${visible(entries[chosen].text)}`);
  }
}

function zoom(factor) {
  if (entries.length === 0) {
    return;
  }
  lanes.zoom = Math.max(4, Math.min(60, lanes.step * factor));
  choose(chosen);
}

const last = entries.length - 1;
const moves = {
  "to-first": () => go(0), "to-last": () => go(last), "to-back": () => go(chosen - 1), "to-next": () => go(chosen + 1),
  "to-step-back": () => go(beside(stops, chosen, -1)), "to-step-next": () => go(beside(stops, chosen, 1)),
  "to-crash": () => go(beside(crashes, chosen, 1) ?? crashes[0]), "to-fault": () => go(beside(troubles, chosen, 1) ?? troubles[0]),
  "zoom-in": () => zoom(1.4), "zoom-out": () => zoom(1 / 1.4),
};
for (const [id, act] of Object.entries(moves)) {
  byId(id).addEventListener("click", act);
}
byId("to-crash").disabled = crashes.length === 0;
byId("to-fault").disabled = troubles.length === 0;

onKeys(event => {
  if (event.target.closest("[data-keys=own]") && event.key.startsWith("Arrow")) {
    return false; // it scrolls
  }
  const keys = {
    ArrowLeft: event.shiftKey ? moves["to-step-back"] : moves["to-back"], ArrowRight: event.shiftKey ? moves["to-step-next"] : moves["to-next"],
    Home: moves["to-first"], End: moves["to-last"], PageUp: () => go(chosen - 20), PageDown: () => go(chosen + 20),
    c: moves["to-crash"], C: () => go(beside(crashes, chosen, -1)), f: moves["to-fault"], F: () => go(beside(troubles, chosen, -1)),
    "+": moves["zoom-in"], "=": moves["zoom-in"], "-": moves["zoom-out"],
  };
  if (keys[event.key]) {
    keys[event.key]();
    return true;
  }
  return false;
});

slider.max = Math.max(0, last);
slider.addEventListener("input", () => choose(Number(slider.value)));

document.addEventListener("click", event => {
  const entry = event.target.closest("[data-entry]"), step = event.target.closest("[data-step]");
  if (entry) {
    go(Number(entry.getAttribute("data-entry")));
  } else if (step) {
    const number = Number(step.getAttribute("data-step"));
    const begin = entries.find(e => e.step === number);
    if (begin) {
      go(begin.n);
      byId("timeline").scrollIntoView({behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth"});
    }
  }
});

// Dragging over the lanes and over the strip scrubs, too.
function scrub(element, entryAt) {
  element.addEventListener("pointerdown", event => {
    if (event.button === 0 && entries.length > 0) {
      element.setPointerCapture(event.pointerId);
      choose(entryAt(event.clientX));
    }
  });
  element.addEventListener("pointermove", event => {
    if (element.hasPointerCapture(event.pointerId)) {
      choose(entryAt(event.clientX));
    }
  });
}

scrub(lanes.element, x => lanes.entryAt(x));
scrub(overview.element, x => {
  const box = overview.element.getBoundingClientRect();
  return Math.round((x - box.left - 8) / Math.max(1, box.width - 16) * last);
});

byId("legend").append(...LEGEND.map(([kind, words]) => html("li", {}, svg("svg", {width: 22, height: 22, viewBox: "0 0 22 22", "aria-hidden": "true"}, sign(kind, 11, 11)), words)));
byId("states").append(...["durable", "pending", "kept", "lost", "torn", "garbage", "gone"].map(state =>
  html("li", {}, svg("svg", {width: 16, height: 16, viewBox: "0 0 16 16", "aria-hidden": "true"}, ...square(state, 0, 0, 16)), html("span", {}, html("b", {}, state), ": " + MEANING[state]))));

// asked is the entry that the address names, or undefined.
function asked() {
  const found = /^#entry-(\d+)$/.exec(location.hash);
  return found ? Number(found[1]) : undefined;
}

// resize measures what there is room for.
function resize() {
  lanes.resize();
  overview.resize();
  diskWidth = byId("disk").clientWidth;
}

resize();
if (entries.length > 0) {
  choose(asked() ?? crashes[crashes.length - 1] ?? last);
} else {
  byId("where").textContent = "The run did nothing.";
}
addEventListener("hashchange", () => go(asked()));
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== width) {
    width = innerWidth;
    resize();
    choose(chosen);
  }
});
