"use strict";
const read = id => JSON.parse(document.getElementById(id).textContent);
const make = (name, parent, text) => {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
};
const sheet = sprites => {
  const image = new Image();
  image.src = sprites.uri;
  return { ...sprites, image };
};
// One image of a sheet, on a canvas of its own size; the page enlarges it.
const put = (canvas, sheet, k) => {
  const { width, height, columns } = sheet;
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").drawImage(sheet.image, (k % columns) * width, Math.floor(k / columns) * height, width, height,
    0, 0, width, height);
};

const film = (box, data) => {
  const sprites = sheet(data.sprites), slider = box.querySelector("input"), out = box.querySelector("output");
  const button = box.querySelector("button"), wall = box.querySelector(".wall");
  const cells = data.walks.map(number => {
    const item = make("li", wall), state = make("canvas", item), mean = make("canvas", item);
    [state, mean].forEach(canvas => canvas.setAttribute("role", "img"));
    return { state, mean, number, text: make("span", item) };
  });
  const show = () => {
    const frame = Number(slider.value), frames = data.steps.length;
    out.textContent = data.steps[frame];
    slider.setAttribute("aria-valuetext", `after ${data.steps[frame]} steps`);
    cells.forEach((cell, walk) => {
      const first = 2 * (walk * frames + frame), caption = data.captions[walk][frame];
      put(cell.state, sprites, first);
      put(cell.mean, sprites, first + 1);
      cell.text.textContent = caption;
      cell.state.setAttribute("aria-label", `state of walk ${cell.number} after ${data.steps[frame]} steps`);
      cell.mean.setAttribute("aria-label", `its reconstruction: ${caption}`);
    });
  };
  let timer = null;
  const stop = () => { clearInterval(timer); timer = null; button.textContent = "Play"; };
  button.addEventListener("click", () => {
    if (timer) return stop();
    if (slider.value === slider.max) slider.value = 0;
    button.textContent = "Stop";
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      show();
      if (slider.value === slider.max) stop();
    }, 250);
  });
  slider.addEventListener("input", () => { if (timer) stop(); show(); });
  sprites.image.decode().then(() => { show(); box.dataset.ready = "yes"; });
};

const plane = data => {
  const canvas = document.getElementById("plane"), tip = document.getElementById("tip"), told = document.getElementById("told");
  const gallery = document.getElementById("gallery"), count = document.getElementById("count"), clear = document.getElementById("clear");
  const sprites = data.sprites && sheet(data.sprites), MOST = 60;
  const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colours = name => name === "real" ? css("--ink") : name.startsWith("start") ? css("--grey") : undefined;
  const others = ["--blue", "--alarm"];
  let used = 0;
  const groups = data.groups.map(group => ({ ...group, on: !group.name.startsWith("start"), paint: colours(group.name) ? null : others[used++ % 2] }));
  const points = groups.flatMap(group => group.xy.map(([x, y], k) => ({ x, y, group, k })));
  let low, high;
  // The view fits the sets that are ticked: starts lie far outside of the data.
  const fit = () => {
    const seen = points.filter(p => p.group.on), ends = (f, key) => f(...(seen.length ? seen : points).map(p => p[key]));
    low = { x: ends(Math.min, "x"), y: ends(Math.min, "y") };
    high = { x: ends(Math.max, "x"), y: ends(Math.max, "y") };
    box = null;
  };
  let chosen = null, box = null, asked = -1, from = null, selected = [];
  const shown = p => p.group.on && (asked < 0 || p.group.classes[p.k] === asked);
  const place = p => [14 + (p.x - low.x) / (high.x - low.x || 1) * (canvas.clientWidth - 28),
    canvas.clientHeight - 14 - (p.y - low.y) / (high.y - low.y || 1) * (canvas.clientHeight - 28)];
  const draw = () => {
    const scale = window.devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * scale;
    canvas.height = canvas.clientHeight * scale;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    groups.forEach((group, number) => {
      pen.fillStyle = pen.strokeStyle = group.paint ? css(group.paint) : colours(group.name);
      pen.globalAlpha = .65;
      points.filter(p => p.group === group && shown(p)).forEach(p => mark(pen, number, ...place(p)));
    });
    pen.globalAlpha = 1;
    pen.strokeStyle = css("--ink");
    if (box) pen.strokeRect(box[0], box[1], box[2] - box[0], box[3] - box[1]);
    if (chosen) {
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(...place(chosen), 8, 0, 7);
      pen.stroke();
    }
  };
  // Shapes as well as colours tell the sets apart.
  const mark = (pen, number, x, y) => {
    pen.beginPath();
    if (number === 0) { pen.arc(x, y, 2, 0, 7); pen.fill(); }
    else if (number === 1) { pen.arc(x, y, 3, 0, 7); pen.stroke(); }
    else if (number === 2) { pen.moveTo(x - 3, y - 3); pen.lineTo(x + 3, y + 3); pen.moveTo(x + 3, y - 3); pen.lineTo(x - 3, y + 3); pen.stroke(); }
    else pen.fillRect(x - 1.5, y - 1.5, 3, 3);
  };
  const say = p => `${p.group.name}: ${p.group.texts[p.k]}`;
  const point = p => {
    chosen = p;
    tip.hidden = !p;
    if (p) {
      tip.replaceChildren();
      if (sprites) put(make("canvas", tip), sprites, p.group.first + p.k);
      make("span", tip, say(p));
      const [x, y] = place(p);
      tip.style.left = `${Math.min(x + 12, canvas.clientWidth - tip.offsetWidth - 4)}px`;
      tip.style.top = `${Math.min(y + 12, canvas.clientHeight - tip.offsetHeight - 4)}px`;
      told.textContent = say(p);
    }
    draw();
  };
  const select = found => {
    selected = found;
    gallery.replaceChildren();
    clear.disabled = !found.length;
    const parts = groups.map(g => [g.name, found.filter(p => p.group === g).length]).filter(([, n]) => n);
    count.textContent = found.length ? `${found.length} points: ${parts.map(([name, n]) => `${n} ${name}`).join(", ")}` +
      (found.length > MOST ? `; ${MOST} of them are shown` : "") : "";
    const stride = Math.max(1, found.length / MOST);
    for (let k = 0; k < found.length && gallery.children.length < MOST; k += stride) {
      const p = found[Math.floor(k)], item = make("li", gallery);
      if (sprites) put(make("canvas", item), sprites, p.group.first + p.k);
      make("span", item, say(p));
    }
  };
  const near = (x, y, most) => {
    let best = null, least = most * most;
    points.filter(shown).forEach(p => {
      const [a, b] = place(p), d = (a - x) ** 2 + (b - y) ** 2;
      if (d < least) [best, least] = [p, d];
    });
    return best;
  };
  const within = ([a, b, c, d]) => points.filter(p => {
    const [x, y] = place(p);
    return shown(p) && x >= Math.min(a, c) && x <= Math.max(a, c) && y >= Math.min(b, d) && y <= Math.max(b, d);
  });
  canvas.addEventListener("pointerdown", event => {
    from = [event.offsetX, event.offsetY];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", event => {
    if (from) { box = [...from, event.offsetX, event.offsetY]; draw(); }
    else point(near(event.offsetX, event.offsetY, 14));
  });
  canvas.addEventListener("pointerup", event => {
    const end = [event.offsetX, event.offsetY];
    if (from && Math.hypot(end[0] - from[0], end[1] - from[1]) > 5) select(within([...from, ...end]));
    else point(near(...end, 25));
    from = null;
  });
  canvas.addEventListener("pointercancel", () => { from = box = null; draw(); });
  canvas.addEventListener("pointerleave", () => { if (!from) point(null); });
  canvas.addEventListener("keydown", event => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (step) {
      const [x, y] = chosen ? place(chosen) : [canvas.clientWidth / 2, canvas.clientHeight / 2];
      let best = null, least = Infinity;
      points.filter(shown).forEach(p => {
        const [a, b] = place(p), along = (a - x) * step[0] + (b - y) * step[1], aside = Math.abs((a - x) * step[1]) + Math.abs((b - y) * step[0]);
        if (p !== chosen && along > .5 && along + 3 * aside < least) [best, least] = [p, along + 3 * aside];
      });
      if (best || !chosen) point(best || points.find(shown) || null);
    } else if (event.key === "Enter" && chosen) {
      const [x, y] = place(chosen);
      box = [x - 40, y - 40, x + 40, y + 40];
      select(within(box));
      draw();
    } else if (event.key === "Escape") { box = null; select([]); point(null); }
    else return;
    event.preventDefault();
  });
  clear.addEventListener("click", () => { box = null; select([]); draw(); });
  const bar = document.getElementById("groups");
  groups.forEach(group => {
    const label = make("label", bar), tick = make("input", label);
    tick.type = "checkbox";
    tick.checked = group.on;
    const swatch = make("span", label);
    swatch.className = "swatch";
    swatch.style.background = group.paint ? `var(${group.paint})` : group.name === "real" ? "var(--ink)" : "var(--grey)";
    label.append(`${group.name} (${group.xy.length})`);
    tick.addEventListener("change", () => { group.on = tick.checked; fit(); select([]); point(null); });
  });
  if (data.classNames.length) {
    const label = make("label", bar, "class "), choice = make("select", label);
    ["all", ...data.classNames].forEach((name, k) => { make("option", choice, name).value = k - 1; });
    choice.addEventListener("change", () => { asked = Number(choice.value); box = null; select([]); point(null); });
  }
  fit();
  new ResizeObserver(draw).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  if (sprites) sprites.image.decode();
};

const films = read("films"), points = read("points");
document.querySelectorAll(".film").forEach((box, k) => film(box, films[k]));
if (points) plane(points);
