// The disk behind each entry.
//
// A disk is {files, names}: files maps numbers to files, names maps a path to {file, state,
// by, removal, n}, for the names that are there or are pending; removal says that the newest
// version is that the name is not there.
//
// A file is {number, path, runs, size, state, by, end}: runs are neighbouring cells of one
// state, by place and without holes or overlaps; size has a state too. end is the first
// cell behind those that any run has. A file is never changed, only replaced: disks share
// what is alike.
//
// In all of them by is the entry that made the newest version, and n the entry that made it
// what it is.

// The states, the worst first: where one square stands for many cells, it shows the first.
const STATES = ["garbage", "torn", "lost", "pending", "kept", "durable", "gone"];

const MEANING = {
  pending: "written, and a power loss may take it or leave it",
  durable: "no crash takes it",
  kept: "a crash left it, though it was pending",
  lost: "a crash took the newest version",
  torn: "a crash left some cells of this write, and took these",
  garbage: "a crash left what nobody wrote there",
  gone: "cut off, removed, or never there",
};

const LETTER = {pending: "P", durable: "", kept: "K", lost: "L", torn: "T", garbage: "G", gone: "·"};

// splice puts a run over what was there, and calls over with each part that it covers.
function splice(runs, run, over) {
  let first = 0, behind = runs.length;
  while (first < behind) { // the first run that ends behind the begin of this one
    const middle = (first + behind) >> 1;
    if (runs[middle].to <= run.from) {
      first = middle + 1;
    } else {
      behind = middle;
    }
  }
  const put = [run];
  for (; behind < runs.length && runs[behind].from < run.to; behind++) {
    const old = runs[behind];
    if (old.from < run.from) {
      put.unshift({...old, to: run.from});
    }
    if (over) {
      over({...old, from: Math.max(old.from, run.from), to: Math.min(old.to, run.to)});
    }
    if (old.to > run.to) {
      put.push({...old, from: run.to});
    }
  }
  return runs.slice(0, first).concat(put, runs.slice(behind));
}

// cellsOf is a change's run, or null where it makes none.
function cellsOf(change, n) {
  const from = change.from || 0, to = change.to || 0;
  return change.of === "cells" && from < to ? {from, to, state: change.state, by: change.by, n} : null;
}

// changed is a file behind one change of the entry n.
function changed(file, change, n) {
  file = {...(file || {number: change.file, path: "", runs: [], size: 0, state: "gone", by: undefined, end: 0})};
  const leaves = change.of === "name" && (change.removal || change.state === "gone");
  if (!leaves || file.path === "") {
    file.path = change.path;
  }
  const run = cellsOf(change, n);
  if (run) {
    file.runs = splice(file.runs, run);
    file.end = Math.max(file.end, run.to);
  } else if (change.of === "size") {
    file.size = change.size || 0;
    file.state = change.state;
    file.by = change.by;
  }
  return file;
}

// apply makes of the disk before an entry the one behind it.
function apply(disk, entry) {
  for (const change of entry.disk || []) {
    disk.files.set(change.file, changed(disk.files.get(change.file), change, entry.n));
    if (change.of !== "name") {
      continue;
    }
    const stays = change.state === "kept" || change.state === "durable";
    if (change.state === "gone" || stays && change.removal || change.state === "lost" && !change.removal) {
      disk.names.delete(change.path);
    } else {
      disk.names.set(change.path, {file: change.file, state: change.state, by: change.by, removal: change.removal, n: entry.n});
    }
  }
}

function copyOf(disk) {
  return {files: new Map(disk.files), names: new Map(disk.names)};
}

function pendingCells(file) {
  let cells = 0;
  for (const run of file ? file.runs : []) {
    cells += run.state === "pending" ? run.to - run.from : 0;
  }
  return cells;
}

// Disks are those behind all entries: a checkpoint every so often, and what lies between
// is done again.
class Disks {
  static every = 256;

  constructor(entries) {
    this.entries = entries;
    const disk = {files: new Map(), names: new Map()};
    this.checkpoints = [copyOf(disk)]; // behind the entries before i*every
    this.pending = new Float64Array(entries.length); // cells that are, behind each
    const pendingOf = new Map();
    let total = 0;
    entries.forEach((entry, n) => {
      apply(disk, entry);
      for (const number of new Set((entry.disk || []).map(change => change.file))) {
        const now = pendingCells(disk.files.get(number));
        total += now - (pendingOf.get(number) || 0);
        pendingOf.set(number, now);
      }
      this.pending[n] = total;
      if ((n + 1) % Disks.every === 0) {
        this.checkpoints.push(copyOf(disk));
      }
    });
  }

  // at is the disk behind entry n; that of -1 is empty.
  at(n) {
    const checkpoint = Math.floor((n + 1) / Disks.every);
    const disk = copyOf(this.checkpoints[checkpoint]);
    for (let i = checkpoint * Disks.every; i <= n; i++) {
      apply(disk, this.entries[i]);
    }
    return disk;
  }
}

// alike joins neighbouring runs of one state, whoever made them.
function alike(runs) {
  const result = [];
  for (const run of runs) {
    const last = result[result.length - 1];
    if (last && last.to === run.from && last.state === run.state) {
      result[result.length - 1] = {...last, to: run.to};
    } else {
      result.push(run);
    }
  }
  return result;
}

// range writes neighbouring numbers: "4", or "4–6".
function range(from, to) {
  return to - from === 1 ? thousands(from) : thousands(from) + "–" + thousands(to - 1);
}
