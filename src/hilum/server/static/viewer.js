/** The film on a canvas: window, level, inversion, zoom, pan, one overlay and one box. */

const PLAIN = { zoom: 1, x: 0, y: 0, window: 100, level: 50, inverted: false };
const STEP = 40;
const MAX_ZOOM = 16;
const PRINT_WIDTH = 720;

/**
 * Make a viewer in `stage` on `canvas`. `changed(state)` is called after each change of window, level, inversion or zoom.
 * Window and level are per cent of the grey scale; x and y are CSS pixels of the film's centre from the stage's.
 */
export function createViewer(stage, canvas, changed) {
  const context = canvas.getContext("2d");
  const state = { ...PLAIN, opacity: 0.7 };
  let film = null; // {grey, shown: canvas, width, height}
  let heat = null; // canvas over the whole film
  let boxes = []; // {box: [x, y, w, h] as shares of the film, text}
  let frame = 0;
  let paper = false;

  const scale = () => Math.min(stage.clientWidth / film.width, stage.clientHeight / film.height) * state.zoom;

  function draw() {
    frame = 0;
    if (!film || !stage.clientWidth) return;
    if (paper) return drawWhole();
    const size = [film.width * scale(), film.height * scale()];
    const place = [(stage.clientWidth - size[0]) / 2 + state.x, (stage.clientHeight - size[1]) / 2 + state.y];
    return paint([stage.clientWidth, stage.clientHeight], place, size);
  }

  function drawWhole() {
    const size = [PRINT_WIDTH, (PRINT_WIDTH * film.height) / film.width];
    paint(size, [0, 0], size);
  }

  function paint([width, height], corner, size) {
    const ratio = Math.max(devicePixelRatio || 1, 1);
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.imageSmoothingQuality = "high";
    context.drawImage(film.shown, ...corner, ...size);
    if (heat) {
      context.globalAlpha = state.opacity;
      context.drawImage(heat, ...corner, ...size);
      context.globalAlpha = 1;
    }
    for (const each of boxes) drawBox(context, each, corner, size, width);
  }

  function update(change) {
    Object.assign(state, change);
    state.zoom = clamp(state.zoom, 1, MAX_ZOOM);
    if (film) {
      // The film may be moved as far as its edge to the middle of the stage, never out of sight.
      const reach = [(film.width * scale()) / 2, (film.height * scale()) / 2].map((half) => (state.zoom > 1 ? half : 0));
      state.x = clamp(state.x, -reach[0], reach[0]);
      state.y = clamp(state.y, -reach[1], reach[1]);
    }
    if (film && ["window", "level", "inverted"].some((name) => name in change)) develop(film, state);
    frame ||= requestAnimationFrame(draw);
    stage.classList.toggle("zoomed", state.zoom > 1);
    changed(state);
  }

  /** Zoom by a factor, keeping the film's point under (x, y), CSS pixels from the stage's centre, where it is. */
  function zoom(factor, x = 0, y = 0) {
    const next = clamp(state.zoom * factor, 1, MAX_ZOOM);
    const by = next / state.zoom;
    update({ zoom: next, x: x - (x - state.x) * by, y: y - (y - state.y) * by });
  }

  const pan = (x, y) => update({ x: state.x + x, y: state.y + y });
  const reset = () => update({ ...PLAIN });
  const windowing = (x, y) =>
    update({ window: clamp(state.window + x / 2, 2, 200), level: clamp(state.level + y / 4, 0, 100) });

  listen(stage, { zoom, pan, windowing });
  stage.addEventListener("keydown", (event) => {
    const act = keys({ zoom, pan, reset, invert: () => update({ inverted: !state.inverted }) })[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  new ResizeObserver(() => { frame ||= requestAnimationFrame(draw); }).observe(stage);

  return {
    state,
    update,
    zoom,
    reset,
    /** Show the film at `url`; resolves to its shown size. */
    async load(url) {
      film = await read(url);
      heat = null;
      boxes = [];
      reset();
      return film;
    },
    /** On paper the whole film is drawn, unzoomed. At once: a printer does not wait for the next frame. */
    setPaper(is) { paper = is; draw(); },
    setHeat(shown) { heat = shown; update({}); },
    setBoxes(shown) { boxes = shown; update({}); },
  };
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function keys({ zoom, pan, reset, invert }) {
  return {
    "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), "−": () => zoom(0.8),
    ArrowLeft: () => pan(STEP, 0), ArrowRight: () => pan(-STEP, 0), ArrowUp: () => pan(0, STEP), ArrowDown: () => pan(0, -STEP),
    0: reset, i: invert, I: invert,
  };
}

async function read(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  const [width, height] = [image.naturalWidth, image.naturalHeight];
  const shown = Object.assign(document.createElement("canvas"), { width, height });
  const context = shown.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const rgba = context.getImageData(0, 0, width, height).data;
  const grey = new Uint8Array(width * height).map((_, i) => rgba[4 * i]);
  return { grey, shown, width, height };
}

/** Put the film's grey values through window, level and inversion. */
function develop(film, { window, level, inverted }) {
  const table = Uint32Array.from({ length: 256 }, (_, grey) => {
    const value = clamp((100 * grey / 255 - (level - window / 2)) / window, 0, 1);
    const shade = Math.round(255 * (inverted ? 1 - value : value));
    return (255 << 24) | (shade << 16) | (shade << 8) | shade;
  });
  const context = film.shown.getContext("2d");
  const image = context.createImageData(film.width, film.height);
  const pixels = new Uint32Array(image.data.buffer);
  film.grey.forEach((grey, i) => { pixels[i] = table[grey]; });
  context.putImageData(image, 0, 0);
}

function drawBox(context, { box: [x, y, w, h], text }, corner, size, right) {
  const at = [corner[0] + x * size[0], corner[1] + y * size[1], w * size[0], h * size[1]];
  context.setLineDash([]);
  context.lineWidth = 4;
  context.strokeStyle = "rgb(0 0 0 / 0.6)";
  context.strokeRect(...at);
  context.setLineDash([7, 5]);
  context.lineWidth = 2;
  context.strokeStyle = "#7fe7ff";
  context.strokeRect(...at);
  context.setLineDash([]);
  context.font = "600 12px system-ui, sans-serif";
  const width = context.measureText(text).width + 10;
  const left = clamp(at[0], 0, Math.max(0, right - width));
  const top = at[1] > 22 ? at[1] - 21 : at[1] + 3;
  context.fillStyle = "rgb(0 0 0 / 0.72)";
  context.fillRect(left, top, width, 18);
  context.fillStyle = "#a9f0ff";
  context.fillText(text, left + 5, top + 13);
}

/** Pointers: one drags, two pinch, the right button windows, the wheel zooms. */
function listen(stage, { zoom, pan, windowing }) {
  const pointers = new Map();
  const middle = (x, y) => {
    const at = stage.getBoundingClientRect();
    return [x - at.left - at.width / 2, y - at.top - at.height / 2];
  };
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-clamp(event.deltaY, -240, 240) / 400), ...middle(event.clientX, event.clientY));
  }, { passive: false });
  stage.addEventListener("contextmenu", (event) => event.preventDefault());
  stage.addEventListener("dblclick", (event) => zoom(2, ...middle(event.clientX, event.clientY)));
  stage.addEventListener("pointerdown", (event) => {
    stage.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  stage.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    pointers.set(event.pointerId, now);
    if (other) {
      zoom(distance(now, other) / Math.max(distance(before, other), 1), ...middle((now[0] + other[0]) / 2, (now[1] + other[1]) / 2));
      pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    } else if (event.buttons & 2) windowing(now[0] - before[0], now[1] - before[1]);
    else pan(now[0] - before[0], now[1] - before[1]);
  });
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => pointers.delete(event.pointerId));
}

const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
