"use strict";
// Asks for /live, draws it, and asks again: ten times a second while the page is looked at, and never faster than it can draw.
const at = id => document.getElementById(id);
const text = (id, words) => { at(id).textContent = words; };
// Class 0 is the first one.
const colours = [[76, 194, 160], [255, 186, 73], [122, 162, 255], [255, 122, 89], [214, 122, 255], [180, 220, 80], [90, 220, 255]];
const colourOf = index => colours[index % colours.length];
const decoder = new TextDecoder();

function drawAreas(context, head, mask, scale) {
  const layer = new OffscreenCanvas(head.width, head.height), image = new ImageData(head.width, head.height);
  for (let i = 0; i < mask.length; i++) {
    if (!mask[i]) continue;
    const [r, g, b] = colourOf(mask[i] - 1);
    image.data.set([r, g, b, 150], 4 * i);
  }
  layer.getContext("2d").putImageData(image, 0, 0);
  const [x, y, width, height] = head.view;
  context.imageSmoothingEnabled = false;
  context.drawImage(layer, x * scale, y * scale, width * scale, height * scale);
}

function drawBoxes(context, head, scale) {
  const line = Math.max(2, context.canvas.width / 320), letters = Math.max(11, context.canvas.width / 56);
  context.lineWidth = line;
  context.font = `600 ${letters}px system-ui, sans-serif`;
  // The surest last, so that they lie on top.
  for (const seen of [...head.boxes].reverse()) {
    const [x, y, width, height] = seen.box.map(n => n * scale), colour = `rgb(${colourOf(seen.index)})`;
    context.strokeStyle = colour;
    context.strokeRect(x, y, width, height);
    const words = `${seen.class}${seen.track ? ` #${seen.track}` : ""} ${(100 * seen.score).toFixed(0)} %`;
    const wide = context.measureText(words).width + 6, top = y > letters + 4 ? y - letters - 4 : y;
    const left = Math.min(Math.max(x, 0), Math.max(0, context.canvas.width - wide));
    context.fillStyle = colour;
    context.fillRect(left - line / 2, top, wide, letters + 4);
    context.fillStyle = "#000";
    context.fillText(words, left + 3, top + letters);
  }
}

// What moved is warm, what was stepped without having moved is cold.
function drawTiles(context, tiles, scale) {
  const bit = (hex, n) => parseInt(hex.substr(n >> 3 << 1, 2), 16) >> (n & 7) & 1;
  const [left, top, width, height] = tiles.view, wide = tiles.side / tiles.size[0] * width * scale, high = tiles.side / tiles.size[1] * height * scale;
  for (let row = 0; row < tiles.rows; row++) {
    for (let column = 0; column < tiles.columns; column++) {
      const n = row * tiles.columns + column, moved = bit(tiles.moved, n);
      if (!moved && !bit(tiles.stepped, n)) continue;
      context.fillStyle = moved ? "rgb(255 150 40 / 45%)" : "rgb(60 120 255 / 35%)";
      context.fillRect(left * scale + column * wide, top * scale + row * high, wide, high);
    }
  }
}

async function drawPicture(head, mask, jpeg) {
  const picture = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
  const canvas = at("picture"), small = picture.width < 320;
  // A small picture is enlarged by a whole factor, so that lines over it are fine.
  const factor = small ? Math.ceil(480 / picture.width) : 1, width = picture.width * factor, height = picture.height * factor;
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  canvas.classList.toggle("small", small);
  const context = canvas.getContext("2d"), scale = width / (head.size[0] || picture.width);
  context.imageSmoothingEnabled = !small;
  context.drawImage(picture, 0, 0, width, height);
  picture.close();
  if (!head.outlined && at("areas").checked) drawAreas(context, head, mask, scale);
  if (head.tiles && at("tiles").checked) drawTiles(context, head.tiles, scale);
  if (at("boxes").checked && (head.outlined || !at("areas").checked)) drawBoxes(context, head, scale);
}

function drawSteps(steps, limits) {
  const canvas = at("steps"), context = canvas.getContext("2d"), { width, height } = canvas;
  const top = Math.max(1, ...steps, ...limits.filter(n => n < 64)), bar = width / 240;
  const style = getComputedStyle(document.documentElement);
  context.clearRect(0, 0, width, height);
  steps.forEach((n, i) => {
    context.fillStyle = style.getPropertyValue("--step");
    context.fillRect(i * bar, height - n / top * (height - 4), Math.max(bar - 0.5, 1), n / top * (height - 4));
    context.fillStyle = style.getPropertyValue("--bad");
    if (limits[i] <= top) context.fillRect(i * bar, height - limits[i] / top * (height - 4) - 1, bar, 1.5);
  });
}

function show(head) {
  const last = head.last, gone = head.camera === "lost" || head.camera === "searching" || head.camera === "stalled";
  text("title", head.title);
  text("health", head.stale ? (last ? `stale: no result for ${head.since_s.toFixed(0)} s` : "no result yet") : "live");
  at("health").className = head.stale ? "stale" : "";
  document.body.classList.toggle("stale", head.stale);
  at("banner").hidden = !head.stale;
  text("banner", gone ? `camera ${head.camera}` : "no new frames");
  text("board", head.board);
  text("network", `${head.model}; sees ${head.sees}`);
  text("camera", `${head.camera}${head.reconnects ? `, reconnected ${head.reconnects} times` : ""}`);
  text("rate", `${head.rate.toFixed(1)} frames/s, ${head.frames} so far`);
  const [half, most, nearly, worst] = head.ages_ms.map(ms => ms.toFixed(1));
  text("age", `${half} ms median, ${most} p90, ${nearly} p99, ${worst} worst`);
  text("deadline", head.deadline_ms ? `${head.deadline_ms} ms, missed by ${head.deadline_misses} of ${head.frames}` : "none");
  drawSteps(head.steps, head.limits);
  if (!last) return;
  const mean = head.steps.reduce((sum, n) => sum + n, 0) / Math.max(1, head.steps.length);
  text("now", `${last.steps} of ${last.limit}, mean ${mean.toFixed(2)}`);
  const percent = share => `${(100 * share).toFixed(0)} %`;
  text("share", last.moved == null && last.stepped == null ? "everything" : `${percent(last.moved ?? 1)} moved, ${percent(last.stepped ?? 1)} stepped`);
  text("stop", last.stop);
  text("limit", last.limit_reason);
  const budget = head.power_budget_mw ? ` of ${(head.power_budget_mw / 1000).toFixed(1)} W` : "";
  text("power", last.power_mw == null ? "no sensor" : `${(last.power_mw / 1000).toFixed(2)} W${budget}`);
  text("heat", last.temp_c == null ? "no sensor" : `${last.temp_c.toFixed(1)} °C`);
  at("camera").textContent += `; dropped ${last.dropped}, skipped ${last.skipped}, corrupt ${last.corrupt}${last.recording === "failed" ? "; the RECORDING HAS FAILED" : ""}`;
  text("engine", last.engine);
  text("seen", last.detections.map(seen => `${seen.class}${seen.track ? ` #${seen.track}` : ""} ${(100 * seen.score).toFixed(0)} %`).join(" · ") || "nothing seen");
}

async function turn() {
  try {
    const asked = at("tiles").checked ? (location.search ? "&" : "?") + "tiles" : "";
    const answer = await fetch("live" + location.search + asked);
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    const bytes = await answer.arrayBuffer(), length = new DataView(bytes).getUint32(0, true);
    const head = JSON.parse(decoder.decode(new Uint8Array(bytes, 4, length))), size = head.width * head.height;
    const jpeg = new Uint8Array(bytes, 4 + length + size);
    show(head);
    if (jpeg.length) await drawPicture(head, new Uint8Array(bytes, 4 + length, size), jpeg);
  } catch (error) {
    text("health", `recslowfast does not answer (${error.message})`);
    at("health").className = "stale";
    document.body.classList.add("stale");
  }
  setTimeout(turn, document.hidden ? 1000 : 100);
}

const root = document.documentElement;
try { if (localStorage.theme) root.dataset.theme = localStorage.theme; } catch { /* Storage may be forbidden: then the system's theme holds. */ }
at("theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : !matchMedia("(prefers-color-scheme: light)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.theme = root.dataset.theme; } catch { /* as above */ }
});
turn();
