// Elements, and bringing what is on the page to what it should be without losing focus, selection or scroll position.

const svgNamespace = "http://www.w3.org/2000/svg";

// An element: attributes by name, listeners as on…, text and elements as children. Text never becomes markup.
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(svgNamespace, tag), attributes, children);
}

const properties = new Set(["value", "checked", "disabled", "selected", "open"]);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) {
      element[name] = value;
      (element.listenerNames ??= []).push(name);
    } else if (properties.has(name)) {
      element[name] = value;
      if (value === true) element.setAttribute(name, "");
      else if (name === "value" && tag(element) !== "select") element.setAttribute(name, value);
    } else element.setAttribute(name, value === true ? "" : value);
  }
  append(element, children);
  return element;
}

const tag = (element) => element.tagName.toLowerCase();

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

// Makes the children of `element` equal to `children`, changing as little as possible.
export function show(element, ...children) {
  const wanted = document.createElement(tag(element));
  append(wanted, children);
  patchChildren(element, wanted);
}

function patchChildren(current, wanted) {
  const old = [...current.childNodes];
  const fresh = [...wanted.childNodes];
  fresh.forEach((node, index) => {
    const before = old[index];
    if (!before) current.append(node);
    else if (isAlike(before, node)) patch(before, node);
    else before.replaceWith(node);
  });
  old.slice(fresh.length).forEach((node) => node.remove());
}

function isAlike(left, right) {
  return left.nodeType === right.nodeType && left.nodeName === right.nodeName
    && left.id === right.id && left.dataset?.key === right.dataset?.key;
}

function patch(current, wanted) {
  if (current.nodeType !== Node.ELEMENT_NODE) {
    if (current.data !== wanted.data) current.data = wanted.data;
    return;
  }
  // What keeps itself up to date is left alone.
  if (current.hasAttribute("data-own")) return;
  for (const { name } of [...current.attributes]) {
    if (!wanted.hasAttribute(name) && name !== "open") current.removeAttribute(name);
  }
  for (const { name, value } of [...wanted.attributes]) {
    if (current.getAttribute(name) !== value) current.setAttribute(name, value);
  }
  for (const name of new Set([...(current.listenerNames ?? []), ...(wanted.listenerNames ?? [])])) {
    current[name] = wanted[name] ?? null;
  }
  current.listenerNames = wanted.listenerNames;
  if ("disabled" in current) current.disabled = wanted.disabled;
  patchChildren(current, wanted);
  if (current !== document.activeElement && "value" in current && current.value !== wanted.value) {
    current.value = wanted.value;
  }
}

// A link to a view of the console.
export function link(path, ...children) {
  return h("a", { href: "#/" + path }, children);
}
