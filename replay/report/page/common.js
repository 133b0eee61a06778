// What both pages use: making elements, writing numbers, copying, the help.

// html makes an element. A text among the children becomes a text, never markup.
function html(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

// svg is html for pictures.
function svg(name, attributes, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "onclick") {
      element.addEventListener("click", value);
    } else if (value !== undefined && value !== false) {
      element.setAttribute(key, value === true ? "" : value);
    }
  }
  element.append(...children);
  return element;
}

function byId(id) {
  return document.getElementById(id);
}

// visible spells out what would not be seen, or would turn the line around. page.go
// has the same function.
function visible(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f]/g, c => String.fromCodePoint(0x2400 + c.codePointAt(0)))
    .replace(/[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
      c => "⟨U+" + c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0") + "⟩");
}

// thousands writes a count as people read it: "1,204,331".
function thousands(n) {
  return String(n).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

// counted is a count with its noun: "1 cell", "2 cells".
function counted(n, noun) {
  return thousands(n) + " " + noun + (n === 1 ? "" : "s");
}

// say tells it to those who do not see the page.
function say(text) {
  byId("said").textContent = text;
}

// command is a line for a shell with a button that copies it.
function command(line) {
  return html("span", {class: "command"}, html("code", {}, visible(line)), html("button", {type: "button", class: "copy"}, "Copy"));
}

async function copy(button) {
  const code = button.parentElement.querySelector("code");
  let done = false;
  try {
    await navigator.clipboard.writeText(code.textContent);
    done = true;
  } catch (refused) {
    getSelection().selectAllChildren(code); // it is marked at least
    done = document.execCommand("copy");
  }
  button.textContent = done ? "Copied" : "Marked";
  say(button.textContent);
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

document.addEventListener("click", event => {
  const button = event.target.closest("button.copy");
  if (button) {
    copy(button);
  }
});

byId("help-open").addEventListener("click", () => byId("help").showModal());

// onKeys calls act with each key that is meant for the page: not for a field, not with
// a modifier of the browser's. act returns whether it used it.
function onKeys(act) {
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.altKey || event.metaKey || byId("help").open) {
      return;
    }
    if (event.target.closest("select, textarea, input:not([type=range]):not([type=checkbox])")) {
      return;
    }
    if (event.key === "?" || event.key === "/") {
      byId("help").showModal();
      event.preventDefault();
    } else if (act(event)) {
      event.preventDefault();
    }
  });
}

const data = JSON.parse(byId("data").textContent);
