// Draws the curves of the page's data; drag or + and − to zoom, hover or arrow keys to read values, Escape for all.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const several = data.runs.length > 1;
  const percent = (v) => (100 * v).toFixed(1) + " %";
  const short = (v) => String(Number(v.toPrecision(3)));
  // Which lines a chart has: from training or validation, of what, called what; `look` is a dash, `mean` the smoothing.
  const CHARTS = [
    { id: "loss", title: "Loss", show: short, lines: [
      { of: "training", what: "loss", name: "training", mean: true },
      { of: "validation", what: "loss", name: "validation", dots: true }] },
    { id: "errors", title: "Error", show: percent, zero: true, lines: [
      { of: "training", what: "top1", name: "training top-1", mean: true },
      { of: "validation", what: "top1", name: "validation top-1", dots: true },
      { of: "validation", what: "top5", name: "validation top-5", dots: true, dash: "6 4" }] },
    { id: "rate", title: "Learning rate", show: short, log: true, stairs: true, lines: [
      { of: "training", what: "lr", name: "learning rate" }] },
    { id: "speed", title: "Images per second", show: short, zero: true, lines: [
      { of: "training", what: "speed", name: "training", mean: true }] },
  ];
  const NS = "http://www.w3.org/2000/svg";
  const make = (parent, name, attributes, text) => {
    const element = document.createElementNS(NS, name);
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  };

  const smooth = (values) => {
    const reach = Math.floor(values.length / 60);
    return values.map((_, i) => {
      const near = values.slice(Math.max(0, i - reach), i + reach + 1).filter((v) => v !== null);
      return near.length ? near.reduce((a, b) => a + b) / near.length : null;
    });
  };

  const curves = CHARTS.map((chart) => data.runs.flatMap((run, r) => chart.lines.map((line, l) => {
    const values = run[line.of][line.what];
    return {
      ...line, raw: line.mean ? values : null, steps: run[line.of].step,
      values: line.mean ? smooth(values) : values,
      name: several ? `${run.name}, ${line.name}` : line.name,
      colour: `var(--curve-${(several ? r : l) % 6})`,
    };
  })).filter((curve) => curve.steps.length));

  // Where a run went on with another configuration.
  const marks = data.runs.flatMap((run, r) => run.changes.map(({ step, what }) => ({
    step, what: several ? `${run.name}: ${what}` : what, colour: several ? `var(--curve-${r % 6})` : "var(--text)" })));

  const last = Math.max(1, ...data.runs.flatMap((run) => [...run.training.step, ...run.validation.step]));
  let view = [0, last], cursor = null;

  const ticks = (from, to, count) => {
    const rough = (to - from) / count, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
    const all = [];
    for (let t = Math.ceil(from / step) * step; t <= to + step / 1e6; t += step) all.push(t);
    return all;
  };

  const nearest = (steps, step) => {
    let low = 0, high = steps.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (steps[middle] < step) low = middle + 1; else high = middle;
    }
    return low > 0 && step - steps[low - 1] < steps[low] - step ? low - 1 : low;
  };

  // The values that can be seen, stretched to round ends.
  const range = (chart, own) => {
    const seen = own.flatMap((c) => (c.raw && c.steps.length < 3 ? c.raw : c.values)
      .filter((v, i) => v !== null && c.steps[i] >= view[0] && c.steps[i] <= view[1]));
    if (!seen.length) return chart.log ? [0.001, 1] : [0, 1];
    let low = Math.min(...seen), high = Math.max(...seen);
    if (chart.log && low > 0) return [low / 1.5, high * 1.5];
    if (chart.zero) low = 0;
    const room = (high - low || Math.abs(high) || 1) * 0.06;
    return [chart.zero ? 0 : low - room, high + room];
  };

  const path = (curve, values, x, y, stairs) => {
    let text = "", pen = false, before = 0;
    values.forEach((v, i) => {
      if (v === null) { pen = false; return; }
      const at = `${x(curve.steps[i]).toFixed(1)} `, up = y(v).toFixed(1);
      text += pen ? (stairs && before !== up ? `L${at}${before}L${at}${up}` : `L${at}${up}`) : `M${at}${up}`;
      pen = true;
      before = up;
    });
    return text;
  };

  const label = (chart, own) => `${chart.title} by step. ` + own.map((c) => {
    const known = c.values.filter((v) => v !== null);
    return known.length ? `${c.name}: ${chart.show(known[0])} at first, ${chart.show(known.at(-1))} at last` : c.name;
  }).concat(marks.map(({ step, what }) => `from step ${step} on ${what}`)).join("; ");

  const geometry = (svg) => ({ left: 52, right: svg.clientWidth - 8, top: 8, bottom: svg.clientHeight - 24 });

  const draw = (chart, own, svg) => {
    svg.replaceChildren();
    const { left, right, top, bottom } = geometry(svg);
    if (right <= left) return;
    const [low, high] = range(chart, own);
    const scale = chart.log && low > 0 ? Math.log : (v) => v;
    const x = (s) => left + (s - view[0]) / (view[1] - view[0]) * (right - left);
    const y = (v) => bottom - (scale(v) - scale(low)) / (scale(high) - scale(low)) * (bottom - top);
    let levels = ticks(low, high, 4);
    if (scale === Math.log) {
      levels = [];
      for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p++)
        for (const m of [1, 3]) levels.push(m * 10 ** p);
      levels = levels.filter((v) => v >= low && v <= high);
    }
    for (const v of levels) {
      make(svg, "line", { class: "grid", x1: left, x2: right, y1: y(v), y2: y(v) });
      make(svg, "text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, chart.show === percent ? `${short(100 * v)} %` : chart.show(v));
    }
    for (const s of ticks(view[0], view[1], Math.max(2, (right - left) / 90)))
      make(svg, "text", { x: x(s), y: bottom + 18, "text-anchor": s > view[1] * 0.95 ? "end" : "middle" }, s.toLocaleString("en"));
    const clip = make(make(svg, "clipPath", { id: `clip-${chart.id}` }), "rect", {
      x: left, y: 0, width: right - left, height: bottom + 1 });
    const inside = make(svg, "g", { "clip-path": `url(#${clip.parentNode.id})` });
    for (const curve of own) {
      const style = `stroke: ${curve.colour}`;
      if (curve.raw) make(inside, "path", { class: "raw", style, d: path(curve, curve.raw, x, y) });
      make(inside, "path", {
        class: "curve", style, d: path(curve, curve.values, x, y, chart.stairs), "stroke-dasharray": curve.dash || "none" });
      if (curve.dots && curve.steps.length < 80) curve.values.forEach((v, i) => v !== null
        && make(inside, "circle", { cx: x(curve.steps[i]), cy: y(v), r: 2.5, style: `fill: ${curve.colour}` }));
    }
    for (const { step, what, colour } of marks)
      make(make(inside, "line", { class: "mark", style: `stroke: ${colour}`, x1: x(step), x2: x(step), y1: top, y2: bottom }),
        "title", {}, `from step ${step} on ${what}`);
    if (cursor !== null && cursor >= view[0] && cursor <= view[1])
      make(svg, "line", { class: "cursor", x1: x(cursor), x2: x(cursor), y1: top, y2: bottom });
  };

  // Names of the lines, with their values where the cursor is.
  const legend = (chart, own, list) => list.replaceChildren(...own.map((curve) => {
    const item = document.createElement("li"), key = document.createElement("i");
    key.style.background = curve.colour;
    const i = nearest(curve.steps, cursor ?? Infinity), value = curve.values[i];
    const at = value === null ? "–" : chart.show(value);
    item.append(key, `${curve.name} `, Object.assign(document.createElement("b"), { textContent: at }));
    return item;
  }));

  const parts = CHARTS.map((chart, i) => {
    const figure = document.getElementById(`chart-${chart.id}`);
    const svg = figure.querySelector("svg");
    svg.setAttribute("aria-label", label(chart, curves[i]));
    return { chart, own: curves[i], svg, list: figure.querySelector("ul") };
  });
  const where = document.getElementById("where"), whole = document.getElementById("whole");
  const isZoomed = () => view[0] > 0 || view[1] < last;
  // What was changed about where the cursor is.
  const changed = () => {
    const reach = (view[1] - view[0]) / 50;
    const near = marks.filter(({ step }) => cursor !== null && Math.abs(step - cursor) <= reach);
    return near.map(({ step, what }) => `; from step ${step} on ${what}`).join("");
  };
  const redraw = () => {
    for (const { chart, own, svg, list } of parts) { draw(chart, own, svg); legend(chart, own, list); }
    where.textContent = (cursor === null ? "last values" : `step ${Math.round(cursor).toLocaleString("en")}`)
      + changed() + (isZoomed() ? `, steps ${Math.round(view[0]).toLocaleString("en")} to ${Math.round(view[1]).toLocaleString("en")} shown` : "");
    whole.disabled = !isZoomed();
  };
  const zoom = (from, to) => {
    const least = Math.min(last, Math.max(2, last / 1e4));
    from = Math.max(0, from);
    to = Math.min(last, to);
    if (to - from >= least) view = [from, to];
    redraw();
  };
  const reset = () => zoom(0, last);
  whole.addEventListener("click", reset);

  for (const { svg } of parts) {
    let begun = null, band = null;
    const step = (event) => {
      const { left, right } = geometry(svg), box = svg.getBoundingClientRect();
      const share = (event.clientX - box.left - left) / (right - left);
      return view[0] + Math.min(1, Math.max(0, share)) * (view[1] - view[0]);
    };
    svg.addEventListener("pointerdown", (event) => { if (event.button === 0) begun = event.clientX; });
    svg.addEventListener("pointermove", (event) => {
      cursor = step(event);
      redraw();
      if (begun === null || event.pointerType === "touch") return;
      const box = svg.getBoundingClientRect(), { top, bottom } = geometry(svg);
      const from = Math.min(begun, event.clientX), width = Math.abs(event.clientX - begun);
      band = make(svg, "rect", { class: "band", x: from - box.left, y: top, width, height: bottom - top });
    });
    svg.addEventListener("pointerup", (event) => {
      const from = begun;
      begun = null;
      if (from === null || Math.abs(event.clientX - from) < 6) return;
      const ends = [step({ clientX: from }), step(event)].sort((a, b) => a - b);
      zoom(ends[0], ends[1]);
    });
    svg.addEventListener("pointerleave", () => { begun = null; cursor = null; redraw(); });
    svg.addEventListener("dblclick", reset);
    svg.addEventListener("keydown", (event) => {
      const width = view[1] - view[0], middle = cursor ?? (view[0] + view[1]) / 2;
      if (event.key === "Escape") { cursor = null; reset(); }
      else if (event.key === "+") zoom(middle - width / 4, middle + width / 4);
      else if (event.key === "-") zoom(middle - width, middle + width);
      else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
        const by = width / 50 * (event.key === "ArrowLeft" ? -1 : 1);
        cursor = Math.min(view[1], Math.max(view[0], middle + by));
        redraw();
      } else return;
      event.preventDefault();
    });
  }
  new ResizeObserver(redraw).observe(document.getElementById("charts"));
  redraw();
  // While the run goes on the page is read again, but not while somebody looks at a part of it.
  if (data.reload) setInterval(() => { if (!isZoomed() && cursor === null) location.reload(); }, 1000 * data.reload);
})();
