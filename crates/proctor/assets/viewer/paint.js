// Drawing on canvases: lanes with their events, arrows between them, phases, landed clauses and the time axis.

import { KINDS, length, tick, tickStep, visible } from './format.js';

/** Height of a lane in CSS pixels. */
export const LANE = 42;
const FONT = '11px ui-sans-serif, system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif';
const MODEL = { top: 7, height: 13 };
const TOOL = { top: 22, height: 13 };
const WHOLE = { top: 7, height: 28 };
const THIN = { top: 20.2, height: 1.6 };
const ON = { model_call: '--on-model', tool_call: '--on-tool', merge: '--on-merge' };

/** The page's colours, read once per theme. */
export function palette() {
  const style = getComputedStyle(document.documentElement);
  const known = new Map();
  return (name) => {
    if (!known.has(name)) known.set(name, style.getPropertyValue(name).trim());
    return known.get(name);
  };
}

/** Gives a canvas its size in device pixels; returns a context that draws in CSS pixels, cleared. */
export function fresh(canvas, width, height) {
  const ratio = devicePixelRatio || 1;
  const [wide, high] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = FONT;
  context.textBaseline = 'middle';
  return context;
}

/** Where an event lies within its lane. */
export function place(event) {
  if (event.kind === 'merge') return WHOLE;
  if (event.kind === 'model_call') return MODEL;
  if (event.kind === 'tool_call') return TOOL;
  return THIN;
}

/** Vertical lines of the time axis; returns the distance of the ticks in seconds. */
export function grid(context, view, height, color) {
  const step = tickStep(view.to - view.from, view.width / 90);
  context.fillStyle = color('--pt-grid');
  for (let at = Math.ceil(view.from / step) * step; at <= view.to; at += step) context.fillRect(Math.round(view.x(at)), 0, 1, height);
  return step;
}

/** The bar of a lane. */
export function bar(context, lane, view, y, color) {
  const x = Math.max(-4, view.x(lane.start));
  const end = Math.min(view.width + 4, view.x(lane.end));
  if (end < -3 || x > view.width + 3) return;
  const name = { merge_queue: '--pt-queue', unattributed: '--pt-nobody', contradicted: '--pt-nobody' }[lane.kind];
  context.fillStyle = color(name ?? (lane.role === 'mayor' ? '--pt-mayor' : '--pt-worker'));
  context.strokeStyle = color('--pt-edge');
  context.lineWidth = 1;
  context.setLineDash(lane.kind === 'session' && !lane.ended ? [4, 3] : []);
  context.beginPath();
  context.roundRect(x + 0.5, y + 4.5, Math.max(2, end - x) - 1, LANE - 10, 3);
  context.fill();
  context.stroke();
  context.setLineDash([]);
}

/** Work of a lane: everything that has a length. */
export function work(context, event, view, y, color) {
  const spot = place(event);
  const x = Math.max(-2, view.x(event.start));
  const width = Math.max(1.5, Math.min(view.width + 2, view.x(event.end)) - x);
  context.fillStyle = color(event.error ? '--pt-bad' : KINDS[event.kind].color);
  context.fillRect(x, y + spot.top, width, spot.height);
  if (width > 46 && spot !== THIN) caption(context, event, x, width, y + spot.top + spot.height / 2 + 0.5, color);
}

function caption(context, event, x, width, y, color) {
  context.save();
  context.beginPath();
  context.rect(x, y - 10, width - 4, 20);
  context.clip();
  context.fillStyle = color(event.error ? '--on-bad' : ON[event.kind] ?? '--bg');
  context.textAlign = 'left';
  context.fillText(visible(event.title), Math.max(x, 0) + 4, y);
  context.restore();
}

/** A moment of a lane: mail, nudge, sling, done, prompt. */
export function symbol(context, event, view, y, color) {
  const kind = KINDS[event.kind].symbol;
  if (!kind) return;
  const x = view.x(event.end);
  if (x < -8 || x > view.width + 8) return;
  context.save();
  context.translate(x, y + LANE / 2);
  context.fillStyle = color(event.error ? '--pt-bad' : KINDS[event.kind].color);
  context.strokeStyle = color('--bg');
  context.lineWidth = 1.5;
  context.beginPath();
  SHAPES[kind](context);
  context.stroke();
  context.fill();
  if (kind === 'mail') flap(context, color);
  context.restore();
}

const SHAPES = {
  mail: (context) => context.rect(-6, -4.5, 12, 9),
  nudge: (context) => polygon(context, [[-5, -5], [6, 0], [-5, 5]]),
  sling: (context) => polygon(context, [[0, -6.5], [6.5, 0], [0, 6.5], [-6.5, 0]]),
  done: (context) => context.arc(0, 0, 5.5, 0, 7),
  prompt: (context) => polygon(context, [[-4.5, -4], [4.5, -4], [0, 4.5]]),
};

function polygon(context, points) {
  points.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.closePath();
}

function flap(context, color) {
  context.strokeStyle = color('--bg');
  context.lineWidth = 1.2;
  context.beginPath();
  context.moveTo(-5.5, -4);
  context.lineTo(0, 0.8);
  context.lineTo(5.5, -4);
  context.stroke();
}

/** A lane's events where they are too many to draw one by one: the darker, the more. */
export function density(context, groups, data, view, y, color) {
  const rows = [['model_call', MODEL, '--pt-model'], ['tool_call', TOOL, '--pt-tool'], ['other', THIN, '--pt-rest'], ['error', WHOLE, '--pt-bad']];
  const step = (data.to - data.from) / data.buckets;
  for (const [name, spot, variable] of rows) {
    context.fillStyle = color(variable);
    for (const [first, size, amount] of groups[name] ?? []) {
      const x = view.x(data.from + first * step);
      const end = view.x(data.from + (first + size) * step);
      if (end < 0 || x > view.width) continue;
      context.globalAlpha = name === 'error' ? 0.9 : Math.min(1, 0.35 + Math.log10(amount + 1) * 0.3);
      context.fillRect(x, y + spot.top, Math.max(1, end - x), spot.height);
    }
  }
  context.globalAlpha = 1;
}

/** An arrow between two lanes. */
export function arrow(context, link, view, from, to, color, strong) {
  const [x, toX] = [view.x(link.from_at), view.x(link.to_at)];
  if (Math.max(x, toX) < -20 || Math.min(x, toX) > view.width + 20) return;
  const bend = (to - from) * 0.55;
  context.strokeStyle = context.fillStyle = color({ sling: '--pt-sling', mail: '--pt-mail', nudge: '--pt-nudge', done: '--pt-done' }[link.kind]);
  context.globalAlpha = strong ? 1 : 0.55;
  context.lineWidth = strong ? 2.2 : 1.3;
  context.setLineDash(link.exact || link.kind !== 'mail' ? [] : [5, 3]);
  context.beginPath();
  context.moveTo(x, from);
  context.bezierCurveTo(x, from + bend, toX, to - bend, toX, to);
  context.stroke();
  context.setLineDash([]);
  const tip = to >= from ? -1 : 1;
  context.beginPath();
  polygon(context, [[toX, to], [toX - 4, to + 7 * tip], [toX + 4, to + 7 * tip]]);
  context.fill();
  context.globalAlpha = 1;
}

/** Phases as a band at the top of the head. */
export function phases(context, list, view, color) {
  list.forEach((phase, index) => {
    const x = Math.max(-2, view.x(phase.start));
    const width = Math.min(view.width + 2, view.x(phase.end)) - x;
    if (width < -1 || x > view.width) return;
    context.fillStyle = color(phase.ended && !phase.ok ? '--pt-bad' : index % 2 ? '--pt-odd' : '--pt-phase');
    context.fillRect(x, 4, Math.max(1.5, width - 1), 18);
    fitting(context, [`${phase.number} ${phase.name} · ${length(phase.end - phase.start)}`, `${phase.number} ${phase.name}`, `${phase.number}`], Math.max(x, 0) + 5, 13.5, x + width - Math.max(x, 0) - 8, color('--ink'));
  });
}

function fitting(context, texts, x, y, room, ink) {
  const text = texts.find((candidate) => context.measureText(candidate).width <= room);
  if (!text) return;
  context.fillStyle = ink;
  context.textAlign = 'left';
  context.fillText(visible(text), x, y);
}

/** Rows for flags so that their texts do not touch: from the right, each into the first row that is free. */
export function arrange(context, flags, view) {
  const edges = [];
  const shown = flags.filter((flag) => view.x(flag.at) > -4 && view.x(flag.at) < view.width + 4);
  return shown.sort((a, b) => b.at - a.at).map((flag) => {
    const x = view.x(flag.at);
    const text = `${flag.label} +${length(flag.at)}`;
    const wide = context.measureText(text).width + 14;
    const left = x + wide > view.width;
    const [from, to] = left ? [x - wide, x + 5] : [x - 5, x + wide];
    let row = edges.findIndex((edge) => to <= edge);
    if (row < 0) row = edges.push(from) - 1;
    edges[row] = from;
    return { ...flag, x, row, left, text };
  });
}

/** Flags with their texts, in rows below the phases: landed clauses, from when on they hold, and faults that fired. */
export function flags(context, placed, top, row, height, color) {
  for (const flag of placed) {
    const y = top + flag.row * row + row / 2;
    context.fillStyle = color(flag.color);
    context.globalAlpha = 0.6;
    for (let dash = y + 4; dash < height; dash += 5) context.fillRect(flag.x - 0.5, dash, 1, 2.5);
    context.globalAlpha = 1;
    context.beginPath();
    context.arc(flag.x, y, 3.5, 0, 7);
    context.fill();
    context.textAlign = flag.left ? 'right' : 'left';
    context.fillText(visible(flag.text), flag.x + (flag.left ? -7 : 7), y + 0.5);
  }
}

/** Dotted lines of clauses and other marks through the lanes. */
export function through(context, moments, view, height, color) {
  for (const [at, variable] of moments) {
    const x = Math.round(view.x(at));
    if (x < 0 || x > view.width) continue;
    context.fillStyle = color(variable);
    context.globalAlpha = 0.45;
    for (let dash = 0; dash < height; dash += 5) context.fillRect(x, dash, 1, 2.5);
  }
  context.globalAlpha = 1;
}

/** Labels of the time axis. */
export function times(context, view, y, color) {
  const step = tickStep(view.to - view.from, view.width / 90);
  context.textAlign = 'center';
  for (let at = Math.ceil(view.from / step) * step; at <= view.to; at += step) {
    const x = Math.round(view.x(at));
    context.fillStyle = color('--pt-edge');
    context.fillRect(x, y + 8, 1, 5);
    context.fillStyle = color('--dim');
    const text = tick(at, step);
    const half = context.measureText(text).width / 2;
    context.fillText(text, Math.min(Math.max(x, half + 2), view.width - half - 2), y);
  }
}
