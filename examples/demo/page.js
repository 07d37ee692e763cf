// Draws the page from the run's record. There is no figure in this file: every one comes from the record.
const R = JSON.parse(document.getElementById("record").textContent);
const NAMES = { numpy: "NumPy", torch: "PyTorch", jax: "JAX" };
const SVG = "http://www.w3.org/2000/svg";
const rules = Object.keys(R.agreement);
const frameworks = [...new Set(R.runs.map((run) => run.framework))];
const today = R.today.missing ? null : R.today;

// ---- small tools -------------------------------------------------------------------------------------------------
function el(tag, attributes = {}, ...children) {
  const node = tag.startsWith("svg:") ? document.createElementNS(SVG, tag.slice(4)) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children.flat().filter((child) => child !== null));
  return node;
}
const html = (text) => { const box = el("template"); box.innerHTML = text; return box.content; };
const superscript = (n) => String(n).replace(/./g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
function power(x) {
  const exponent = Math.floor(Math.log10(x) + 1e-12);
  return `${(x / 10 ** exponent).toFixed(1)}\u00a0×\u00a010${superscript(exponent)}`;
}
const percent = (x, digits = 1) => `${(100 * x).toFixed(digits)}\u00a0%`;
const distance = (x) => (x === null || x === undefined ? "–" : x === 0 ? "0" : x >= 1e-3 ? percent(x) : power(x));
const list = (items) => (items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`);
const top = (values) => values.reduce((a, b) => Math.max(a, b), 0);
const section = (title, ...children) => el("section", {}, el("h2", {}, title), ...children);
const panel = (...children) => el("div", { class: "panel" }, ...children);
const para = (text, kind = "") => el("p", { class: kind }, html(text));

// ---- a line chart: redrawn at its true width, so that text stays readable on a phone ------------------------------
function lineChart({ series, height = 300, label, low, high, mark }) {
  const box = el("div", { class: "chart", style: `min-height: ${height}px` }), tip = el("div", { class: "tip" });
  const legend = el("div", { class: "legend" }, series.map((s) => el("span", {}, key(s), s.name)));
  let drawn = 0;
  const draw = () => {
    const width = box.clientWidth;
    if (!width || width === drawn) return;
    drawn = width;
    box.replaceChildren(plot({ series, height, label, low, high, mark, width, tip }), tip);
  };
  new ResizeObserver(draw).observe(box);
  return el("div", {}, legend, box);
}

function key(s) {
  const line = el("svg:line", { x1: 0, x2: 22, y1: 6, y2: 6, ...stroke(s) });
  return el("svg:svg", { width: 22, height: 12, "aria-hidden": "true" }, line);
}
const stroke = (s) => ({
  style: `stroke: var(--${s.color}); opacity: ${s.opacity ?? 1}`, fill: "none",
  "stroke-width": s.width ?? 2, "stroke-dasharray": s.dash ?? "", "stroke-linejoin": "round", "stroke-linecap": s.dash ? "butt" : "round",
});

function ticks(from, to, room) {
  const every = Math.max(1, Math.ceil((to - from) / room));
  const first = Math.ceil(from / every) * every;
  return Array.from({ length: Math.floor((to - first) / every) + 1 }, (_, k) => first + k * every);
}
function roundStep(span, room) {
  const raw = span / room, unit = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((k) => k * unit).find((step) => step >= raw) || 1;
}

function plot({ series, height, label, low, high, mark, width, tip }) {
  const left = 46, right = 10, above = 8, below = 34;
  const values = series.flatMap((s) => s.y).filter((v) => v > 0);
  const from = low ?? Math.floor(Math.log10(Math.min(...values))), to = high ?? Math.ceil(Math.log10(Math.max(...values)));
  const last = top(series.map((s) => s.x.at(-1))), first = Math.min(...series.map((s) => s.x[0]));
  const X = (v) => left + ((width - left - right) * (v - first)) / Math.max(1, last - first);
  const Y = (v) => above + ((height - above - below) * (to - Math.max(Math.log10(v), from))) / (to - from);
  const svg = el("svg:svg", { height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  const line = (a) => svg.append(el("svg:line", { "stroke-width": 1, ...a }));
  const text = (content, a) => svg.append(el("svg:text", a, content));
  for (const t of ticks(from, to, height / 42)) {
    line({ x1: left, x2: width - right, y1: Y(10 ** t), y2: Y(10 ** t), style: "stroke: var(--grid)" });
    text(t === 0 ? "1" : `10${superscript(t)}`, { x: left - 8, y: Y(10 ** t) + 4, "text-anchor": "end" });
  }
  const step = roundStep(last, width / 90);
  for (let v = step; v <= last; v += step) text(v, { x: X(v), y: height - 16, "text-anchor": "middle" });
  text("step", { x: width - right, y: height - 2, "text-anchor": "end" });
  if (mark) {
    line({ x1: left, x2: width - right, y1: Y(mark.at), y2: Y(mark.at), style: "stroke: var(--soft)", "stroke-dasharray": "2 4" });
    text(mark.text, { x: width - right, y: Y(mark.at) - 6, "text-anchor": "end" });
  }
  for (const s of series) {
    const path = s.y.map((v, k) => (v > 0 ? `${X(s.x[k]).toFixed(1)},${Y(v).toFixed(1)}` : null)).filter(Boolean);
    svg.append(el("svg:polyline", { points: path.join(" "), ...stroke(s) }));
  }
  hover(svg, { series, X, height, below, above, left, right, width, tip });
  return svg;
}

function hover(svg, { series, X, height, below, above, width, tip }) {
  const hair = el("svg:line", { y1: above, y2: height - below, style: "stroke: var(--soft); opacity: 0" });
  svg.append(hair);
  svg.addEventListener("pointerleave", () => { tip.style.opacity = 0; hair.style.opacity = 0; });
  svg.addEventListener("pointermove", (event) => {
    const at = event.clientX - svg.getBoundingClientRect().left, x = series[0].x;
    let k = 0;
    for (let j = 1; j < x.length; j++) if (Math.abs(X(x[j]) - at) < Math.abs(X(x[k]) - at)) k = j;
    const place = X(x[k]);
    hair.setAttribute("x1", place); hair.setAttribute("x2", place); hair.style.opacity = 0.6;
    tip.replaceChildren(html([`step ${x[k]}`, ...series.map((s) => `${s.name}: ${power(s.y[k])}`)].join("<br>")));
    tip.style.opacity = 1;
    tip.style.top = `${above}px`;
    tip.style.left = `${Math.min(Math.max(0, place + 12 + tip.offsetWidth > width ? place - tip.offsetWidth - 12 : place + 12), width)}px`;
  });
}

const counted = (values) => values.map((_, k) => k + 1);

// ---- the sections ------------------------------------------------------------------------------------------------
function title(several) {
  if (!several) return "One optimizer on the digits";
  if (!R.verdict.judged) return `One optimizer in every framework, in ${R.dtype}`;
  return R.verdict.holds ? "One optimizer, the same numbers in every framework" : "One optimizer, and the frameworks part";
}

function header() {
  const v = R.verdict, several = frameworks.length > 1;
  const where = list(frameworks.map((f) => NAMES[f])), with_ = list(rules);
  const lead = several
    ? `${where} trained the same network on the same images with ${with_}. Over ${v.judged_steps} steps, the largest distance between any two frameworks’ parameters was <b>${distance(v.worst)}</b> of the distance walked.`
    : `${where} trained a network with ${with_}. With a second framework installed, this page compares them.`;
  const same = Math.min(...rules.map((r) => R.agreement[r].same_predictions)), of = R.agreement[rules[0]].test_images;
  const cards = [];
  if (several) {
    const state = !v.judged ? "not judged in float32" : v.holds ? `within the limit of ${power(v.limit)}${v.judged_steps < R.steps ? ` over the first ${v.judged_steps} steps` : ""}` : `over the limit of ${power(v.limit)}`;
    cards.push([distance(v.worst), `largest distance between frameworks, relative to the distance walked; ${state}`, v.judged ? (v.holds ? "good" : "bad") : "ink"]);
    cards.push([`${same} of ${of}`, `test images on which ${where} say the same, whichever the rule`, "ink"]);
  }
  if (today) cards.push([percent(top(today.trained.curve)), `<code>torch.optim.Muon</code> and <code>optax.contrib.muon</code> on the same layers with the same hyperparameters, at their farthest; ${percent(today.trained.curve.at(-1))} at the end`, "today"]);
  const grid = cards.map(([big, what, color]) => el("div", { class: "card" }, el("div", { class: "big", style: `color: var(--${color})` }, big), el("div", { class: "what" }, html(what))));
  const missing = Object.entries(R.missing).map(([f, why]) => `${NAMES[f]}: ${why}`);
  return el("header", {}, el("p", { class: "eyebrow" }, "deva-optim · the digits demo"), el("h1", {}, title(several)), para(lead, "lead"), missing.length ? para(`Left out — ${missing.join("; ")}.`, "soft") : null, el("div", { class: "cards" }, grid));
}

function image(pixels, canvas = el("canvas", { width: 8, height: 8 })) {
  const context = canvas.getContext("2d"), data = context.createImageData(8, 8);
  pixels.forEach((p, k) => data.data.set([13 + p * 15, 15 + p * 14.6, 19 + p * 13.5, 255], 4 * k));
  context.putImageData(data, 0, 0);
  return canvas;
}

function digits() {
  const { rule, images } = R.predictions;
  const run = R.runs.find((r) => r.rule === rule);
  const cell = (d) => el("div", { class: `digit ${d.said === d.label ? "" : "wrong"}`, title: `says ${d.said}, ${percent(d.sure)} sure; it is a ${d.label}` },
    image(d.pixels), el("b", {}, String(d.said)), d.said === d.label ? "" : ` not ${d.label}`);
  const wrong = images.filter((d) => d.said !== d.label).length;
  return section("What the network sees, and says",
    para(`Images of 8 × 8 pixels that it was not trained on, with what the network says after training with ${rule}: ${percent(run.test_accuracy)} right. ${wrong ? "Errors come first, framed." : "It makes no error."}`),
    el("div", { class: "digits" }, images.map(cell)));
}

function divergence() {
  const series = rules.filter((r) => R.agreement[r].curve.length).map((r) => ({ name: `${r}, ours: ${list(frameworks.map((f) => NAMES[f]))}`, color: r, x: counted(R.agreement[r].curve), y: R.agreement[r].curve }));
  if (today) series.push({ name: "torch.optim.Muon and optax.contrib.muon", color: "today", width: 2.5, x: counted(today.trained.curve), y: today.trained.curve });
  if (!series.length) return null;
  const mark = R.dtype === "float64" ? { at: R.verdict.limit, text: "the limit that this demo sets itself" } : null;
  return section("How far the frameworks part, step by step",
    para(`Largest distance between two frameworks’ parameters, divided by the distance walked since the start. Everything here is ${R.dtype}, from the same weights on the same batches; weights are stored out × in in NumPy and PyTorch and in × out in JAX.`),
    panel(lineChart({ series, height: 380, label: "distance between frameworks over steps", high: 0, low: R.dtype === "float64" ? -16 : -8, mark })));
}

function losses() {
  const styles = { numpy: { width: 7, opacity: 0.55 }, torch: { width: 3 }, jax: { width: 1.4, dash: "5 4" } };
  const of = (rule) => R.runs.filter((run) => run.rule === rule).map((run) => ({ name: NAMES[run.framework], color: run.framework, ...styles[run.framework], x: counted(run.losses), y: run.losses }));
  const all = R.runs.flatMap((run) => run.losses);
  const limits = { low: Math.floor(Math.log10(Math.min(...all))), high: Math.ceil(Math.log10(top(all))) };
  const charts = rules.map((rule) => panel(el("div", { class: "rulename", style: `color: var(--${rule})` }, rule), lineChart({ series: of(rule), height: 240, label: `loss of ${rule}`, ...limits })));
  const text = frameworks.length > 1 ? `Each panel holds ${frameworks.length} curves, drawn over one another from wide to thin.${R.verdict.holds ? " They are one curve." : ""}` : "";
  return section("The loss of every batch", para(text), el("div", { class: "three" }, charts));
}

function table() {
  const heads = ["rule", "framework", "loss", "test accuracy", "ms per step", "any two apart"];
  const rows = rules.flatMap((rule) => R.runs.filter((run) => run.rule === rule).map((run, k, group) =>
    el("tr", { class: k === group.length - 1 ? "last" : "" },
      el("td", { class: "name rulename", style: `color: var(--${rule})` }, k ? "" : rule), el("td", { class: "name" }, NAMES[run.framework]),
      ...[run.train_loss.toPrecision(6), percent(run.test_accuracy), run.ms_per_step.toFixed(2)].map((t) => el("td", {}, t)),
      k ? null : el("td", { class: "whole", rowspan: group.length }, distance(R.agreement[rule].largest)))));
  const head = el("tr", {}, heads.map((h, k) => el("th", { class: k < 2 ? "name" : "" }, h)));
  return section("In numbers", panel(el("div", { class: "scroll" }, el("table", {}, head, rows))), el("div", { style: "height: 14px" }),
    para(`Loss: over all training images, after the last step. Time: the median whole training step, gradients included, each framework on one thread; JAX is compiled once per rule (${list([...new Set(R.runs.filter((r) => r.jax_traces !== null).map((r) => `traced ${r.jax_traces}×`))]) || "not run"}). Any two apart: the largest distance between two frameworks over all steps, relative to the distance walked.`, "soft"));
}

function float32() {
  const p = R.float32, colors = { "float32, between frameworks": ["today", ""], "float32, from float64": ["numpy", ""], "float64, from a rounded start": ["DeVA", "6 4"], "float64, between frameworks": ["Muon", ""] };
  const series = Object.entries(p.curves).map(([name, y]) => ({ name, x: p.steps, y, color: colors[name][0], dash: colors[name][1] }));
  const grow = Object.entries(p.growth_per_100_steps).filter(([, g]) => g > 1.5);
  const quarter = Math.floor(p.steps.length / 4);
  const text = [
    `${p.rule} once more, with a constant learning rate, on to step ${p.steps.at(-1)}. A float32 number holds about seven digits and every operation rounds; runs that round in another order are ${distance(series[0].y[quarter])} of the distance walked apart at step ${p.steps[quarter]}.`,
    grow.length ? `Then the loss is all but zero, every step is still as long as the first, and the weights swing around the optimum. From there a distance multiplies: ${list(grow.map(([n, g]) => `<b>× ${g.toFixed(0)}</b> in 100 steps (${n})`))}.` : "In a run of this length the distance does not grow any further.",
    `The dashed curve has no float32 arithmetic in it. It is one framework, in float64, started from weights that were rounded to float32 once. ${grow.length ? "It grows like the others: the problem parts the runs, and no program is at fault. In float64 the same growth starts from far lower." : ""}`,
    `The runs differ in their digits, not in their worth: test accuracy ${list(p.test_accuracy.float32.map((a) => percent(a)))} in float32, ${list([...new Set(p.test_accuracy.float64.map((a) => percent(a)))])} in float64. So two honest float32 runs cannot be compared at their ends; single steps can, and that is what the conformance kit does.`,
  ];
  return section("How rounding parts honest runs", panel(lineChart({ series, height: 340, label: "distance in float32 over steps", high: 0 })), el("div", { style: "margin-top: 16px" }, text.map((t) => para(t))));
}

const CAUSES = [
  ["same array", "The same array handed to both", "today"],
  ["orientation", "alone: which axis is the output — rows in torch, columns in optax (optax with itself, two ways)", "today", true],
  ["same layer", "The same layer, each in its own layout", "today"],
  ["bfloat16", "alone: torch’s Newton–Schulz in bfloat16 (torch with itself, cast removed)", "today", true],
  ["nesterov", "alone: optax’s bias-corrected Nesterov (cast removed, same layer)", "today", true],
  ["eps", "alone: the eps beside the norm (no cast, same layer, Nesterov off)", "today", true],
  ["none left", "All four removed", "soft"],
  ["ours", "deva_torch and deva_jax, the same layer", "Muon"],
];

function causes() {
  const bar = (value, kind, color) => el("div", { class: "track" }, el("div", { class: "lane" }, el("i", { class: kind, style: `width: ${Math.max(0, (100 * (16 + Math.log10(Math.max(value, 1e-16)))) / 16)}%; background: var(--${color})` })), el("span", {}, distance(value)));
  const group = ([name, text, color, sub]) => el("div", { class: sub ? "sub" : "" }, el("div", { class: "head" }, text), bar(today.array[name], "random", color), bar(today.layer[name], "real", color));
  const factor = ([out, into]) => Math.sqrt(Math.max(1, out / into)).toPrecision(2);
  const size = (where) => today[where].shape.join(" × ");
  return el("div", {}, para(`Bars are logarithmic: a full bar is the whole distance walked, each grid line a factor of 1000. Upper bar: a ${size("array")} array and ${today.array.gradients} random gradients. Lower: a ${size("layer")} layer of this network and the ${today.layer.gradients} gradients it got. Both optimizers are handed the same gradients, so nothing is amplified by training. The ${size("array")} array taken the other way round changes Muon’s shape factor √max(1, out/in) from ${factor(today.array.shape)} to ${factor([...today.array.shape].reverse())}.`, "soft"), el("div", { class: "bars" }, CAUSES.map(group)));
}

function todaySection() {
  if (!today) return section("What people have today", para(`Left out: ${R.today.missing}.`));
  const h = today.hyperparameters, curve = today.trained.curve, fade = today.nesterov_fades;
  const rows = today.trained.runs.map((run) => el("tr", {}, el("td", { class: "name" }, el("code", {}, run.framework)), ...[run.train_loss.toPrecision(6), percent(run.accuracy), run.ms_per_step.toFixed(2)].map((t) => el("td", {}, t))));
  const head = el("tr", {}, ["optimizer", "loss", "test accuracy", "ms per step"].map((t) => el("th", {}, t)));
  return section("What people have today, and why it parts",
    para(`${list(today.names.map((n) => `<code>${n}</code>`))}: learning rate ${h.lr}, momentum ${h.momentum}, Nesterov, decay ${h.weight_decay}, on the same layers. Both train this network well. They are not the same function, though, and nothing in their signatures says so: at most ${distance(top(curve))} of the distance walked apart, ${distance(curve.at(-1))} at the end.`),
    panel(el("div", { class: "scroll" }, el("table", {}, head, rows))),
    el("div", { class: "two", style: "margin-top: 18px" }, el("div", { class: "panel", style: "margin: 0" }, el("div", { class: "rulename", style: "margin-bottom: 6px" }, "Each cause on its own"), causes()),
      el("div", {}, el("div", { class: "panel", style: "margin: 0 0 16px" }, el("div", { class: "rulename" }, "The Nesterov forms converge"), lineChart({ series: [{ name: "distance of single steps", color: "today", x: counted(fade), y: fade }], height: 230, label: "distance of the two Nesterov forms by step" })),
        para(`optax corrects the momentum’s bias and the gradient’s bias by different factors, so early steps point elsewhere; the forms agree on the first step, and the difference fades with the power of the momentum: ${distance(fade.at(-1))} of a step at step ${fade.length}.`, "soft"),
        para(`bfloat16 keeps eight bits. Where a gradient has directions of almost no weight, Newton–Schulz amplifies what rounding left there. On this network’s first step the two are ${distance(today.first_step["as they are"])} of that step apart; with torch’s cast removed, ${distance(today.first_step["without bfloat16"])}.`, "soft"),
        para(`Left out here: beside Muon, optax gives biases AdamW with Nesterov, torch leaves them to you. Both got plain AdamW.`, "soft"))));
}

function drawing() {
  if (!R.network) return null;
  const canvas = el("canvas", { width: 224, height: 224, "aria-label": "draw a digit here" }), small = el("canvas", { class: "small", width: 8, height: 8 });
  const bars = el("div", { class: "says" }), context = canvas.getContext("2d", { willReadFrequently: true });
  const lines = Array.from({ length: 10 }, (_, k) => ({ bar: el("i"), text: el("span", {}, "") , k }));
  bars.append(...lines.map((l) => el("div", {}, el("b", {}, String(l.k)), l.bar, l.text)));
  const wipe = () => { context.fillStyle = "#0d0f13"; context.fillRect(0, 0, 224, 224); };
  const clear = () => { wipe(); show(); blank = true; Object.assign(context, { fillStyle: "#8a93a0", font: "15px system-ui, sans-serif", textAlign: "center" }); context.fillText("draw a digit here", 112, 117); };
  const show = () => { const pixels = shrink(context); image(pixels, small); const p = pixels.some((v) => v) ? says(pixels) : Array(10).fill(0); lines.forEach((l) => { l.bar.style.width = `${100 * p[l.k]}%`; l.text.textContent = p[l.k] ? percent(p[l.k], 0) : ""; }); };
  let from = null, blank = true;
  const at = (e) => { const r = canvas.getBoundingClientRect(); return [((e.clientX - r.left) * 224) / r.width, ((e.clientY - r.top) * 224) / r.height]; };
  canvas.addEventListener("pointerdown", (e) => { if (blank) wipe(); blank = false; from = at(e); canvas.setPointerCapture(e.pointerId); });
  canvas.addEventListener("pointerup", () => { from = null; });
  canvas.addEventListener("pointermove", (e) => {
    if (!from) return;
    const to = at(e);
    Object.assign(context, { strokeStyle: "#fff", lineWidth: 19, lineCap: "round" });
    context.beginPath(); context.moveTo(...from); context.lineTo(...to); context.stroke();
    from = to; show();
  });
  const button = el("button", { type: "button" }, "Clear");
  button.addEventListener("click", clear);
  requestAnimationFrame(clear);
  return section("Try it", para(`The network that ${R.predictions.rule} trained, in this page. Draw a digit; it is made small as the data set’s were: cut out, scaled to 32 × 32, and counted in blocks of 4 × 4.`), panel(el("div", { class: "pad" }, el("div", {}, canvas, el("div", { style: "margin-top: 8px" }, button)), small, bars)));
}

// A drawing as the data set's authors made theirs: its box, as 32 × 32 bits, counted in blocks of 4 × 4.
function shrink(context) {
  const data = context.getImageData(0, 0, 224, 224).data, on = (x, y) => data[4 * (y * 224 + x)] > 110;
  let x0 = 224, x1 = 0, y0 = 224, y1 = 0;
  for (let y = 0; y < 224; y++) for (let x = 0; x < 224; x++) if (on(x, y)) { x0 = Math.min(x0, x); x1 = Math.max(x1, x); y0 = Math.min(y0, y); y1 = Math.max(y1, y); }
  const pixels = Array(64).fill(0), size = Math.max(x1 - x0, y1 - y0) + 1;
  if (x1 < x0) return pixels;
  const cx = (x0 + x1) / 2, cy = (y0 + y1) / 2;
  for (let j = 0; j < 32; j++) for (let i = 0; i < 32; i++) {
    const x = Math.round(cx + ((i + 0.5) / 32 - 0.5) * size), y = Math.round(cy + ((j + 0.5) / 32 - 0.5) * size);
    if (x >= 0 && y >= 0 && x < 224 && y < 224 && on(x, y)) pixels[8 * (j >> 2) + (i >> 2)] += 1;
  }
  return pixels;
}
function says(pixels) {
  let h = pixels.map((p) => p / 16);
  R.network.forEach(({ weight, bias }, k) => {
    h = weight.map((row, o) => row.reduce((sum, w, i) => sum + w * h[i], bias[o]));
    if (k < R.network.length - 1) h = h.map(Math.tanh);
  });
  const high = Math.max(...h), e = h.map((z) => Math.exp(z - high)), total = e.reduce((a, b) => a + b);
  return e.map((z) => z / total);
}

function circumstances() {
  const rows = {
    network: `${R.layers.join("–")}, tanh, softmax cross entropy; ${R.batch} images a step, ${R.steps} steps, seed ${R.seed}, ${R.dtype}`,
    recipes: Object.entries(R.recipes).map(([r, h]) => `${r} ${Object.entries(h).map(([k, v]) => `${k} ${v}`).join(", ")}`).join(" · "),
    biases: `AdamW ${Object.entries(R.biases).map(([k, v]) => `${k} ${v}`).join(", ")}; beside DeVA, DeVA over vectors`,
    gradients: `autograd in PyTorch, jax.grad in JAX; in NumPy by hand, within ${power(R.backward_error)} of finite differences`,
    versions: Object.entries(R.versions).map(([n, v]) => `${n} ${v ?? "–"}`).join(" · "),
    machine: `${R.machine.cpus} cores, ${R.machine.processor}, ${R.machine.system}; one thread for each framework`,
    "made in": `${R.seconds.toFixed(0)} s, by ${R.command}`,
  };
  return section("How this page was made", el("dl", {}, Object.entries(rows).flatMap(([k, v]) => [el("dt", {}, k), el("dd", {}, v)])));
}

document.getElementById("main").append(...[header(), digits(), divergence(), losses(), table(), float32(), todaySection(), drawing(), circumstances()].filter(Boolean));
