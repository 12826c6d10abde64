// Line icons of 24 units as inline paths: no files to fetch, and they take the colour of the text.
const PATHS = {
  camera: "M4 7h3l2-2.500h6L17 7h3a1.500 1.500 0 0 1 1.500 1.500v9A1.500 1.500 0 0 1 20 19H4a1.500 1.500 0 0 1-1.500-1.500v-9A1.500 1.500 0 0 1 4 7zM12 9.400a3.600 3.600 0 1 0 0 7.200 3.600 3.600 0 0 0 0-7.200z",
  picture: "M4 4.500h16A1.500 1.500 0 0 1 21.500 6v12a1.500 1.500 0 0 1-1.500 1.500H4A1.500 1.500 0 0 1 2.500 18V6A1.500 1.500 0 0 1 4 4.500zM3 17l5.500-5.500L14 17l3-3 4 4M16 9.500h.01",
  search: "M10.500 4a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13zM15.500 15.500 21 21",
  add: "M12 5v14M5 12h14",
  chart: "M4 20h16M7 20v-7M12 20V5M17 20v-10",
  more: "M12 6v12M6 12h12",
  less: "M6 12h12",
  close: "M6 6l12 12M18 6 6 18",
  back: "M19 12H5M11 6l-6 6 6 6",
  next: "M5 12h14M13 6l6 6-6 6",
  filter: "M4 6h16M7 12h10M10 18h4",
  folder: "M3 6.500A1.500 1.500 0 0 1 4.500 5H9l2 2.500h8.500A1.500 1.500 0 0 1 21 9v8.500a1.500 1.500 0 0 1-1.500 1.500h-15A1.500 1.500 0 0 1 3 17.500z",
  archive: "M4 4h16v4H4zM5.500 8v12h13V8M10 12h4",
  place: "M12 21s7-6.300 7-11.500a7 7 0 1 0-14 0C5 14.700 12 21 12 21zM12 7a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5z",
  edit: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
  bin: "M4 7h16M9 7V4.500h6V7M6.500 7l1 13h9l1-13M10.500 11v5.500M13.500 11v5.500",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  key: "M8 11a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM11 12l8-8M16 7l3 3",
  clock: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 8v4.500l3 2",
  share: "M9 15l6-6M10.500 6.500l1.800-1.800a4 4 0 0 1 5.700 5.700L16.200 12.200M13.500 17.500l-1.800 1.800a4 4 0 0 1-5.700-5.700L7.800 11.800",
};
const SVG = "http://www.w3.org/2000/svg";

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

// Inserts icons into the page's HTML: <span data-icon="search">.
export function fillIcons(root) {
  for (const place of root.querySelectorAll("[data-icon]")) place.prepend(icon(place.dataset.icon));
}
