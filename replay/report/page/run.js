// The page of a sweep: the filters choose rows, and every picture shows these.

const IMAGES = ["newest", "prefix", "mixed", "torn", "garbage", "kill", "reopen"];

let picked = ""; // the cell of the heat map that is open

function rows() {
  const scenario = byId("scenario").value, disk = byId("disk-filter").value; // places in the lists of both, or ""
  return data.rows.filter(row => (!scenario || row.scenario === data.scenarios[scenario]) && (!disk || row.disk === data.disks[disk]));
}

// brokenName reports whether an outcome is an invariant, or a promise without a number, which
// was broken then.
function brokenName(outcome) {
  return /^I\d+$/.test(outcome) || outcome === "violation";
}

// once lists what is in a list, in the order of its first time.
function once(list) {
  return [...new Set(list)];
}

function show() {
  const list = rows();
  byId("filtered").textContent = `${list.length} of ${counted(data.rows.length, "row")}`;
  showOnly(list);
  showHeat(list);
  showCoverage(list);
  showCurve(list);
  showSlowest(list);
  showReached(list);
}

// showOnly fills the filter of what is not across.
function showOnly(list) {
  const other = byId("across").value === "image" ? "outcome" : "image";
  const names = once(list.flatMap(row => row.crashed.map(crash => crash[other]))).sort(byOrder);
  const select = byId("only"), old = select.value;
  select.replaceChildren(html("option", {value: ""}, other === "outcome" ? "all outcomes" : "all kinds of image"),
    ...names.map(name => html("option", {value: name}, visible(name))));
  select.value = names.includes(old) ? old : "";
}

function byOrder(a, b) {
  const i = IMAGES.indexOf(a), k = IMAGES.indexOf(b);
  if (i !== k) {
    return i < 0 ? 1 : k < 0 ? -1 : i - k;
  }
  return brokenName(a) !== brokenName(b) ? (brokenName(a) ? -1 : 1) : a < b ? -1 : a > b ? 1 : 0;
}

// heatOf adds up the crashes: a map of [before, column] in JSON to {times, broken, ends}.
function heatOf(list) {
  const across = byId("across").value, other = across === "image" ? "outcome" : "image", only = byId("only").value;
  const cells = new Map(), before = [], columns = [];
  for (const crash of list.flatMap(row => row.crashed)) {
    if (only && crash[other] !== only) {
      continue;
    }
    before.push(crash.before);
    columns.push(crash[across]);
    const key = JSON.stringify([crash.before, crash[across]]);
    const cell = cells.get(key) || {before: crash.before, column: crash[across], times: 0, broken: 0, ends: new Map()};
    cell.times += crash.times;
    cell.broken += brokenName(crash.outcome) ? crash.times : 0;
    const end = JSON.stringify([crash.image, crash.outcome]);
    cell.ends.set(end, (cell.ends.get(end) || 0) + crash.times);
    cells.set(key, cell);
  }
  const last = ["note", "end"]; // what is no operation comes behind those
  return {cells, before: once(before).sort((a, b) => last.indexOf(a) - last.indexOf(b) || (a < b ? -1 : 1)), columns: once(columns).sort(byOrder)};
}

// shade is one of nine steps from 1 to the most, on a logarithmic scale.
function shade(times, most) {
  return times === 0 ? 0 : 1 + Math.round(8 * Math.log(times) / Math.log(Math.max(2, most)));
}

function showHeat(list) {
  const heat = heatOf(list);
  if (heat.cells.size === 0) {
    byId("heat").replaceChildren(html("p", {class: "note"}, "No crash was counted."));
    byId("ended").replaceChildren();
    return;
  }
  const most = Math.max(...[...heat.cells.values()].map(cell => cell.times));
  const table = html("table", {class: "heat"}, html("thead", {}, html("tr", {}, html("td", {}), ...heat.columns.map(name => html("th", {scope: "col"}, visible(name))))));
  const body = html("tbody", {});
  for (const before of heat.before) {
    const line = html("tr", {}, html("th", {scope: "row"}, visible(before)));
    for (const column of heat.columns) {
      const key = JSON.stringify([before, column]), cell = heat.cells.get(key);
      if (!cell) {
        line.append(html("td", {class: "none"}, "·"));
        continue;
      }
      const words = `${before}, ${column}: ${counted(cell.times, "time")}` + (cell.broken ? `, ${thousands(cell.broken)} broken` : "");
      line.append(html("td", {}, html("button", {
        type: "button", class: `heat-cell shade-${shade(cell.times, most)}` + (cell.broken ? " broken" : ""), "data-key": key, "aria-label": visible(words), title: visible(words),
        "aria-pressed": String(key === picked), onclick: () => pick(key),
      }, (cell.broken ? "! " : "") + short(cell.times))));
    }
    body.append(line);
  }
  table.append(body);
  byId("heat").replaceChildren(table);
  showEnded(heat);
}

// short is a count in a few letters: "1.2k".
function short(n) {
  if (n < 1000) {
    return String(n);
  }
  const [value, unit] = n < 1e6 ? [n / 1e3, "k"] : n < 1e9 ? [n / 1e6, "M"] : [n / 1e9, "G"];
  return (value < 10 ? value.toFixed(1) : value.toFixed(0)) + unit;
}

function pick(key) {
  picked = picked === key ? "" : key;
  showHeat(rows());
  const again = [...document.querySelectorAll(".heat-cell")].find(button => button.getAttribute("data-key") === key);
  if (again) {
    again.focus();
  }
}

function showEnded(heat) {
  const cell = heat.cells.get(picked);
  if (!cell) {
    byId("ended").replaceChildren(html("p", {class: "note"}, "Choose a cell: how its crashes ended stands here then."));
    return;
  }
  const ends = [...cell.ends].map(([end, times]) => [...JSON.parse(end), times]).sort((a, b) => b[2] - a[2]);
  byId("ended").replaceChildren(
    html("h3", {}, visible(`Before ${cell.before}, ${cell.column}: ${counted(cell.times, "crash").replace(/crashs$/, "crashes")}`)),
    html("div", {class: "scroll"}, html("table", {class: "rows"}, html("thead", {}, html("tr", {}, ...["image", "outcome", "times"].map(name => html("th", {scope: "col"}, name)))),
      html("tbody", {}, ...ends.map(([image, outcome, times]) => html("tr", {class: brokenName(outcome) && "bad"},
        html("td", {}, visible(image)), html("td", {}, visible(brokenName(outcome) ? outcome + " broken" : outcome)), html("td", {}, thousands(times))))))));
}

function showCoverage(list) {
  const cells = new Map(), all = list.flatMap(row => row.coverage);
  for (const c of all) {
    const key = JSON.stringify([c.fault, c.point]), cell = cells.get(key) || {could: 0, hits: 0};
    cell.could += c.could;
    cell.hits += c.hits;
    cells.set(key, cell);
  }
  if (cells.size === 0) {
    byId("coverage").replaceChildren(html("p", {class: "note"}, "No fault was counted."));
    byId("coverage-sum").textContent = "";
    return;
  }
  const faults = once(all.map(c => c.fault)), points = once(all.map(c => c.point)); // in the order of the engine
  let never = 0, hit = 0;
  const most = Math.max(...[...cells.values()].map(cell => cell.hits));
  const table = html("table", {class: "heat coverage"}, html("thead", {}, html("tr", {}, html("td", {}), ...points.map(point => html("th", {scope: "col"}, point ? visible(point) : "at the start")))));
  const body = html("tbody", {});
  for (const fault of faults) {
    const line = html("tr", {}, html("th", {scope: "row"}, visible(fault)));
    for (const point of points) {
      const cell = cells.get(JSON.stringify([fault, point]));
      if (!cell || cell.could === 0 && cell.hits === 0) {
        line.append(html("td", {class: "impossible", title: "nothing there that it could hit"}, "–"));
      } else if (cell.hits === 0) {
        never++;
        line.append(html("td", {class: "never", title: `0 of ${counted(cell.could, "operation")}`}, "never"));
      } else {
        hit++;
        line.append(html("td", {class: `hit shade-${shade(cell.hits, most)}`, title: `${thousands(cell.hits)} of ${counted(cell.could, "operation")}`}, short(cell.hits)));
      }
    }
    body.append(line);
  }
  table.append(body);
  byId("coverage").replaceChildren(table);
  byId("coverage-sum").textContent = `${counted(hit, "place")} of ${hit + never} hit, ${never} never.`;
}

function showCurve(list) {
  const first = new Map(); // the lowest seed of each
  for (const row of list) {
    for (const b of row.behaviours) {
      const seed = BigInt(b.seed);
      if (!first.has(b.name) || seed < first.get(b.name)) {
        first.set(b.name, seed);
      }
    }
  }
  const all = [...first].sort((a, b) => a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : a[0] < b[0] ? -1 : 1);
  if (all.length === 0) {
    byId("curve").replaceChildren(html("p", {class: "note"}, "No behaviour was counted."));
    byId("behaviours").replaceChildren();
    return;
  }
  const start = all[0][1], end = all[all.length - 1][1];
  const seeds = Math.max(Number(end - start) + 1, ...list.map(row => row.seeds));
  const width = 560, height = 240, left = 44, top = 12, base = height - 34, right = width - 14;
  const x = seed => left + (right - left) * Number(seed - start) / Math.max(1, seeds - 1), y = n => base - (base - top) * n / all.length;
  const parts = [];
  for (const n of ticks(all.length)) {
    parts.push(svg("line", {class: "rule", x1: left, x2: right, y1: y(n), y2: y(n)}), svg("text", {class: "axis", x: left - 6, y: y(n) + 4, "text-anchor": "end"}, thousands(n)));
  }
  for (const n of ticks(seeds - 1)) { // at round numbers behind the first seed
    const seed = n === 0 || start > 1n ? start + BigInt(n) : BigInt(n);
    parts.push(svg("text", {class: "axis", x: x(seed), y: base + 16, "text-anchor": "middle"}, thousands(seed)));
  }
  let path = `M${left} ${base}`;
  all.forEach(([, seed], i) => { path += `H${x(seed)}V${y(i + 1)}`; });
  path += `H${right}`;
  parts.push(svg("path", {class: "under", d: path + `V${base}z`}), svg("path", {class: "curve", d: path}));
  // A dot stands for all that a seed did first.
  all.forEach(([, seed], i) => {
    if (i + 1 < all.length && all[i + 1][1] === seed) {
      return;
    }
    const names = all.filter(([, other]) => other === seed).map(([name]) => visible(name));
    const more = names.length > 12 ? `\nand ${names.length - 12} more` : "";
    parts.push(svg("circle", {class: "dot", cx: x(seed), cy: y(i + 1), r: 3}, svg("title", {}, `seed ${seed}:\n${names.slice(0, 12).join("\n")}${more}`)));
  });
  parts.push(svg("text", {class: "axis", x: (left + right) / 2, y: height - 2, "text-anchor": "middle"}, "seed"));
  byId("curve").replaceChildren(svg("svg", {viewBox: `0 0 ${width} ${height}`, class: "plot", role: "img", "aria-label": `curve: ${all.length} behaviours, the last new one came with seed ${end}`}, ...parts));
  byId("curve-sum").textContent = `${counted(all.length, "behaviour")}; the last new one came with seed ${end}. A curve that is flat for long has little left to show.`;
  byId("behaviours").replaceChildren(html("table", {class: "rows"}, html("thead", {}, html("tr", {}, html("th", {scope: "col"}, "seed"), html("th", {scope: "col"}, "behaviour"))),
    html("tbody", {}, ...all.map(([name, seed]) => html("tr", {}, html("td", {}, String(seed)), html("td", {class: "left"}, visible(name)))))));
}

// ticks are a few round numbers from 0 to most.
function ticks(most) {
  const raw = Math.max(1, most) / 5, power = 10 ** Math.floor(Math.log10(raw));
  const step = Math.max(1, [1, 2, 5, 10].find(n => n * power >= raw) * power);
  const list = [];
  for (let n = 0; n <= most; n += step) {
    list.push(Math.round(n));
  }
  return list;
}

function showSlowest(list) {
  const all = list.flatMap(row => row.slowest.map(s => ({...s, row}))).sort((a, b) => b.seconds - a.seconds).slice(0, 10);
  byId("slow-command").replaceChildren("A click on a bar gives the line that runs the seed.");
  if (all.length === 0) {
    byId("slowest").replaceChildren(html("p", {class: "note"}, "No seed was timed."));
    return;
  }
  const bars = html("ol", {class: "bars"});
  for (const s of all) {
    const line = `go run ./cmd/untorn-sim replay ${s.seed} --scenario ${s.row.scenario} --disk ${s.row.disk}`;
    const bar = svg("svg", {class: "bar-picture", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true"}, svg("rect", {class: "slow", width: 100 * s.seconds / (all[0].seconds || 1), height: 10}));
    bars.append(html("li", {}, html("button", {type: "button", onclick: () => byId("slow-command").replaceChildren(command(line))},
      html("span", {class: "bar-name"}, visible(`${s.row.scenario} on ${s.row.disk}, seed ${s.seed}`)), html("span", {class: "bar-value"}, `${s.seconds.toFixed(2)} s`), bar)));
  }
  byId("slowest").replaceChildren(bars);
}

function showReached(list) {
  const sum = new Map();
  for (const row of list) {
    for (const [name, times] of Object.entries(row.reached)) {
      sum.set(name, (sum.get(name) || 0) + times);
    }
  }
  if (sum.size === 0) {
    byId("reached").replaceChildren(html("p", {class: "note"}, "Nothing was counted."));
    return;
  }
  byId("reached").replaceChildren(html("table", {class: "rows"}, html("thead", {}, html("tr", {}, html("th", {scope: "col"}, "state or point"), html("th", {scope: "col"}, "times"))),
    html("tbody", {}, ...[...sum].sort((a, b) => a[0] < b[0] ? -1 : 1).map(([name, times]) => html("tr", {class: times === 0 && "bad"}, html("th", {scope: "row"}, visible(name)), html("td", {}, times === 0 ? "never" : thousands(times)))))));
}

// turn chooses the next of a select's options, or the one before.
function turn(id, back) {
  const select = byId(id), n = select.options.length;
  select.selectedIndex = (select.selectedIndex + (back ? n - 1 : 1)) % n;
  picked = "";
  show();
  say(`${id}: ${select.options[select.selectedIndex].textContent}`);
}

for (const id of ["scenario", "disk-filter", "across", "only"]) {
  byId(id).addEventListener("change", () => {
    picked = "";
    show();
  });
}

onKeys(event => {
  const keys = {s: "scenario", d: "disk-filter", a: "across"};
  const id = keys[event.key.toLowerCase()];
  if (!id) {
    return false;
  }
  turn(id, event.shiftKey);
  return true;
});

show();
