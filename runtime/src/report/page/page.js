"use strict";
// Asks for /live, draws it, and asks again: ten times a second while the page is looked at, and never faster than it can draw.
const at = id => document.getElementById(id);
const colours = [[0, 0, 0], [76, 194, 160], [255, 186, 73], [122, 162, 255], [255, 122, 89], [214, 122, 255], [180, 220, 80], [90, 220, 255]];
const decoder = new TextDecoder();

function drawPicture(width, height, luma, mask) {
  const canvas = at("picture");
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  for (let i = 0; i < luma.length; i++) {
    const kind = mask[i], colour = colours[kind === 0 ? 0 : 1 + (kind - 1) % (colours.length - 1)], share = kind ? 0.6 : 0;
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = luma[i] * (1 - share) + colour[c] * share;
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

function drawSteps(steps, limits) {
  const canvas = at("steps"), context = canvas.getContext("2d"), { width, height } = canvas;
  const top = Math.max(1, ...steps, ...limits.filter(n => n < 64)), bar = width / 240;
  context.clearRect(0, 0, width, height);
  steps.forEach((n, i) => {
    context.fillStyle = "#4cc2a0";
    context.fillRect(i * bar, height - n / top * (height - 4), Math.max(bar - 0.5, 1), n / top * (height - 4));
    context.fillStyle = "#ff7a59";
    if (limits[i] <= top) context.fillRect(i * bar, height - limits[i] / top * (height - 4) - 1, bar, 1.5);
  });
}

function show(head) {
  const last = head.last, text = (id, words) => { at(id).textContent = words; };
  text("title", head.title);
  text("health", head.stale ? `stale: no result for ${head.since_s.toFixed(1)} s` : "live");
  at("health").className = head.stale ? "stale" : "";
  text("rate", `${head.rate.toFixed(1)} frames/s, ${head.frames} so far`);
  const [half, most, nearly, worst] = head.ages_ms.map(ms => ms.toFixed(1));
  text("age", `${half} ms median, ${most} p90, ${nearly} p99, ${worst} worst`);
  drawSteps(head.steps, head.limits);
  if (!last) return;
  const mean = head.steps.reduce((sum, n) => sum + n, 0) / Math.max(1, head.steps.length);
  text("now", `${last.steps} of ${last.limit}, mean ${mean.toFixed(2)}`);
  text("stop", last.stop);
  text("limit", last.limit_reason);
  const budget = head.power_budget_mw ? ` of ${(head.power_budget_mw / 1000).toFixed(1)} W` : "";
  text("power", last.power_mw == null ? "no sensor" : `${(last.power_mw / 1000).toFixed(2)} W${budget}`);
  text("heat", last.temp_c == null ? "no sensor" : `${last.temp_c.toFixed(1)} °C`);
  text("camera", `${head.camera}; dropped ${last.dropped}, skipped ${last.skipped}, corrupt ${last.corrupt}${last.recording === "failed" ? "; the RECORDING HAS FAILED" : ""}`);
  text("engine", last.engine);
  text("seen", last.detections.map(seen => `${seen.class}${seen.track ? ` #${seen.track}` : ""} ${(100 * seen.score).toFixed(0)} %, ${seen.area.toFixed(0)} px`).join(" · ") || "nothing seen");
}

async function turn() {
  try {
    const answer = await fetch("live" + location.search);
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    const bytes = await answer.arrayBuffer(), length = new DataView(bytes).getUint32(0, true);
    const head = JSON.parse(decoder.decode(new Uint8Array(bytes, 4, length))), size = head.width * head.height;
    if (size) drawPicture(head.width, head.height, new Uint8Array(bytes, 4 + length, size), new Uint8Array(bytes, 4 + length + size, size));
    show(head);
  } catch (error) {
    at("health").textContent = `recslowfast does not answer (${error.message})`;
    at("health").className = "stale";
  }
  setTimeout(turn, document.hidden ? 1000 : 100);
}
turn();
