// A bar chart of counts by name, as a list: screen readers can read it, and its rows link to the photos.
import { button, element } from "./dom.js";
import { strings } from "./strings.js";
import { EMPTY, format } from "./url_state.js";

const FIRST = 12;

export function barChart(counts, by, allLabel) {
  const entries = Object.entries(counts).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
  const most = Math.max(1, ...entries.map(([, count]) => count));
  const list = element("ul.chart");
  const show = (all) => {
    list.replaceChildren(...entries.slice(0, all ? undefined : FIRST).map(([name, n]) => row(name, n, most, by)));
    more.replaceChildren(...(entries.length > FIRST
      ? [button("quiet", all ? strings.operator.fewerBreeds : allLabel(entries.length), () => show(!all))] : []));
  };
  const more = element("div.actions");
  show(false);
  return element("div", {}, list, more);
}

function row(name, count, most, by) {
  const bar = element("span.chart-bar", { "aria-hidden": "true" });
  bar.style.width = `${(count / most) * 100}%`;
  const label = strings.operator.chartRow(name, count);
  return element("li", {}, element("a", { href: format({ ...EMPTY, [by]: name }), "aria-label": label },
    element("bdi.chart-name", {}, name), element("span.chart-track", {}, bar), element("span.chart-count", {}, strings.number(count))));
}
