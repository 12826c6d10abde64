// Creates elements. Text is never parsed as HTML: names and tags are untrusted.

// `element("button.quiet", {…}, "Close")`; `aria-…` and `data-…` become attributes.
export function element(tag, properties = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const made = document.createElement(name);
  if (classes.length) made.classList.add(...classes);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key.includes("-") || !(key in made)) made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export const byId = (id) => document.getElementById(id);

export function button(look, text, onclick, properties = {}) {
  return element(`button.${look}`, { type: "button", onclick, ...properties }, text);
}

export function option(value, text, selected = false) {
  return element("option", { value, selected }, text);
}

// A labelled field: the label holds its control, so that no id is needed.
export function field(text, control, hint = null) {
  return element("label.field", {}, element("span", {}, text), control, hint && hintOf(hint));
}

const hintOf = (text) => element("small", {}, text);

// Runs `work` once no call has come for `ms`.
export function debounced(ms, work) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...args), ms);
  };
}
