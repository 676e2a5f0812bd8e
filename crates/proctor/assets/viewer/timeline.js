// The lanes: what is in view, drawn on a canvas; wheel and drag; what lies under the pointer.

import { Latest, ask } from './api.js';
import { KINDS, el, length, moment, money, some, tokens, visible } from './format.js';
import * as paint from './paint.js';

/** More events than this in view are drawn as density. */
const SINGLE_EVENTS = 6000;
const LINKS = 1500;
const PHASES_H = 26;
const FLAG_H = 16;
const AXIS_H = 20;
const byId = (id) => document.getElementById(id);

export class Timeline {
  constructor(app) {
    this.app = app;
    this.canvas = byId('canvas');
    this.axis = byId('axis');
    this.scroller = byId('lanes');
    this.data = { events: [], links: [], density: null, total: 0, linkTotal: 0, byLane: new Map() };
    this.latest = new Latest();
    this.hovered = null;
    this.color = paint.palette();
    this.frame = 0;
    this.bind();
    const observer = new ResizeObserver(() => this.resized());
    observer.observe(this.scroller);
    observer.observe(byId('timeline'));
  }

  /** Part of the time axis in view, as the state says, and how seconds become pixels. */
  view() {
    const { start, end } = this.app.picture;
    const state = this.app.state.value;
    const from = state.from ?? start;
    const to = Math.max(state.to ?? end, from + 1e-6);
    const width = this.width || 600;
    return { from, to, width, x: (at) => (at - from) / (to - from) * width, at: (x) => from + x / width * (to - from) };
  }

  /** Lanes that the filters leave, top to bottom. */
  lanes() {
    const { role, rig, lane } = this.app.state.value;
    const takes = (list, value) => !list.length || list.includes(value ?? '');
    return this.app.picture.lanes.filter((row) => takes(role, row.role) && takes(rig, row.rig) && takes(lane, row.id));
  }

  /** Shows seconds `from` to `to`, kept within the run and wider than a microsecond. */
  show(from, to) {
    const { start, end } = this.app.picture;
    const room = (end - start) * 0.02;
    const span = Math.min(Math.max(to - from, 1e-5), end - start + 2 * room);
    const first = Math.min(Math.max(from, start - room), end + room - span);
    const whole = span >= (end - start) * 0.9999;
    this.app.state.set(whole ? { from: null, to: null } : { from: first, to: first + span });
  }

  /** Zooms by a factor at a pixel, the middle when none is given. */
  zoom(factor, x = (this.width || 600) / 2) {
    const view = this.view();
    const at = view.at(x);
    this.show(at - (at - view.from) * factor, at + (view.to - at) * factor);
  }

  /** Moves by a part of what is in view. */
  pan(part) {
    const view = this.view();
    const step = (view.to - view.from) * part;
    this.show(view.from + step, view.to + step);
  }

  /** Brings a moment into view without changing the zoom. */
  reveal(at, lane) {
    const view = this.view();
    const span = view.to - view.from;
    if (at < view.from || at > view.to) this.show(at - span / 2, at + span / 2);
    const index = this.lanes().findIndex((row) => row.id === lane);
    if (index < 0) return;
    const top = index * paint.LANE;
    const { scrollTop, clientHeight } = this.scroller;
    if (top < scrollTop) this.scroller.scrollTop = top;
    else if (top + paint.LANE > scrollTop + clientHeight) this.scroller.scrollTop = top + paint.LANE - clientHeight;
  }

  resized() {
    this.width = Math.max(60, this.scroller.clientWidth - parseFloat(getComputedStyle(document.documentElement).getPropertyValue('--gutter')));
    this.draw();
  }

  themed() {
    this.color = paint.palette();
    this.draw();
  }

  /** Fetches what is in view and a little around it, then draws. */
  async load() {
    const view = this.view();
    const margin = (view.to - view.from) * 0.25;
    const window = { from: view.from - margin, to: view.to + margin };
    const filter = this.app.state.filter();
    const answer = await this.latest.of(async () => {
      const asked = { ...filter, ...window };
      const [page, links] = await Promise.all([ask('events', { ...asked, limit: SINGLE_EVENTS }), ask('links', { ...window, limit: LINKS })]);
      const crowded = page.total > page.events.length;
      const density = crowded ? await ask('density', { ...asked, buckets: Math.round((this.width || 600) * 1.5) }) : null;
      return { page, links, density };
    });
    if (!answer) return;
    const { page, links, density } = answer;
    const byLane = Map.groupBy ? Map.groupBy(page.events, (event) => event.lane) : group(page.events);
    this.data = { events: page.events, byLane, total: page.total, links: links.links, linkTotal: links.total, density };
    this.draw();
  }

  draw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (this.app.picture) this.drawNow();
    });
  }

  drawNow() {
    const view = this.view();
    const lanes = this.lanes();
    byId('lanes-space').style.height = `${lanes.length * paint.LANE}px`;
    this.drawHead(view);
    // What few lanes do not need, the list gets.
    byId('timeline').style.maxHeight = `${byId('overview').offsetHeight + byId('head').offsetHeight + Math.max(2, lanes.length) * paint.LANE + 4}px`;
    const height = Math.min(this.scroller.clientHeight, lanes.length * paint.LANE);
    this.canvas.style.width = `${view.width}px`;
    this.canvas.style.height = `${height}px`;
    const context = paint.fresh(this.canvas, view.width, height);
    paint.grid(context, view, height, this.color);
    this.drawLanes(context, view, lanes, height);
    paint.through(context, this.moments(), view, height, this.color);
    this.drawLinks(context, view, lanes);
    this.drawSymbols(context, view, lanes, height);
    this.drawSelection(context, view, lanes, height);
    this.drawLabels(lanes);
  }

  /** What has a text above the lanes and a line through them: landed clauses that hold, and faults that fired. */
  flags() {
    const { clauses, marks } = this.app.picture;
    const held = clauses.filter((clause) => clause.since !== null).map(({ label, since }) => ({ label, at: since, color: '--pt-held' }));
    const fired = marks.filter((mark) => mark.kind === 'fault').map(({ label, at }) => ({ label, at, color: '--pt-bad' }));
    return held.concat(fired);
  }

  moments() {
    const prompt = this.app.picture.marks.filter((mark) => mark.kind === 'prompt');
    return this.flags().map((flag) => [flag.at, flag.color]).concat(prompt.map((mark) => [mark.at, '--dim']));
  }

  drawHead(view) {
    const measure = this.axis.getContext('2d');
    const placed = paint.arrange(measure, this.flags(), view);
    const any = this.app.picture.clauses.length ? 1 : 0;
    const rows = Math.min(5, Math.max(any, ...placed.map((flag) => flag.row + 1)));
    const height = PHASES_H + rows * FLAG_H + AXIS_H;
    byId('head').style.height = `${height + 1}px`;
    this.axis.style.width = `${view.width}px`;
    const context = paint.fresh(this.axis, view.width, height);
    paint.phases(context, this.app.picture.phases, view, this.color);
    paint.flags(context, placed.filter((flag) => flag.row < rows), PHASES_H, FLAG_H, height, this.color);
    paint.times(context, view, height - AXIS_H / 2 - 1, this.color);
    this.headLabels(height);
  }

  headLabels(height) {
    const { clauses, phases } = this.app.picture;
    const held = clauses.filter((clause) => clause.value).length;
    const missing = clauses.filter((clause) => !clause.value).map((clause) => clause.label);
    const landed = clauses.length ? `landed ${held}/${clauses.length}${missing.length ? `, not ${missing.join(', ')}` : ''}` : '';
    const label = (text, top) => {
      const span = el('span', { title: text }, text);
      span.style.top = `${top}px`;
      return span;
    };
    byId('head-labels').replaceChildren(label(phases.length ? 'phases' : '', 5), label(landed, PHASES_H), label('time since start', height - AXIS_H));
  }

  /** Lanes that are not scrolled away, with their distance from the canvas's top. */
  * visible(lanes, height) {
    const top = this.scroller.scrollTop;
    const first = Math.max(0, Math.floor(top / paint.LANE));
    for (let index = first; index < lanes.length && index * paint.LANE - top < height; index++) yield [lanes[index], index * paint.LANE - top];
  }

  drawLanes(context, view, lanes, height) {
    const crowd = this.data.density ? new Map(this.data.density.lanes.map((lane) => [lane.lane, lane.groups])) : null;
    for (const [lane, y] of this.visible(lanes, height)) {
      context.fillStyle = this.color('--pt-grid');
      context.fillRect(0, y + paint.LANE - 1, view.width, 1);
      paint.bar(context, lane, view, y, this.color);
      if (crowd) paint.density(context, crowd.get(lane.id) ?? {}, this.data.density, view, y, this.color);
      else for (const event of this.data.byLane.get(lane.id) ?? []) if (!KINDS[event.kind].symbol) paint.work(context, event, view, y, this.color);
    }
  }

  drawSymbols(context, view, lanes, height) {
    if (this.data.density) return;
    for (const [lane, y] of this.visible(lanes, height)) {
      for (const event of this.data.byLane.get(lane.id) ?? []) paint.symbol(context, event, view, y, this.color);
    }
  }

  drawLinks(context, view, lanes) {
    const middle = this.middles(lanes);
    const chosen = this.app.state.value.sel;
    for (const link of this.data.links) {
      const [from, to] = [middle.get(link.from), middle.get(link.to)];
      if (from === undefined || to === undefined) continue;
      const strong = link === this.hovered || (chosen && (link.event === chosen || link.to_event === chosen));
      paint.arrow(context, link, view, from, to, this.color, strong);
    }
  }

  middles(lanes) {
    return new Map(lanes.map((lane, index) => [lane.id, index * paint.LANE + paint.LANE / 2 - this.scroller.scrollTop]));
  }

  drawSelection(context, view, lanes, height) {
    const { at, sel } = this.app.state.value;
    context.fillStyle = this.color('--focus');
    if (at !== null) context.fillRect(Math.round(view.x(at)), 0, 1, height);
    const event = this.data.events.find((candidate) => candidate.id === sel);
    const index = event ? lanes.findIndex((lane) => lane.id === event.lane) : -1;
    if (index < 0) return;
    const y = index * paint.LANE - this.scroller.scrollTop;
    const isSymbol = KINDS[event.kind].symbol;
    const spot = isSymbol ? { top: 12, height: 18 } : paint.place(event);
    const x = view.x(isSymbol ? event.end : event.start);
    const width = isSymbol ? 0 : Math.max(1.5, view.x(event.end) - x);
    const pad = isSymbol ? 10 : 2;
    context.strokeStyle = this.color('--focus');
    context.lineWidth = 2;
    context.beginPath();
    context.roundRect(x - pad, y + spot.top - 3, width + 2 * pad, spot.height + 6, 4);
    context.stroke();
  }

  drawLabels(lanes) {
    const chosen = this.app.state.value.agent;
    const holder = byId('labels');
    const wanted = [...this.visible(lanes, this.scroller.clientHeight + paint.LANE)].map(([lane]) => lane);
    const known = new Map([...holder.children].map((label) => [label.dataset.lane, label]));
    for (const lane of wanted) {
      const text = facts(lane);
      let label = known.get(lane.id);
      if (!label || label.dataset.text !== text) {
        label?.remove();
        label = this.label(lane, text);
        holder.append(label);
      }
      known.delete(lane.id);
      label.style.top = `${lanes.indexOf(lane) * paint.LANE}px`;
      label.classList.toggle('chosen', Boolean(chosen) && (lane.label === chosen || lane.agent === chosen));
    }
    for (const gone of known.values()) gone.remove();
  }

  label(lane, text) {
    const small = el('small', {}, text);
    if (lane.errors) small.append(' · ', el('span', { class: 'bad' }, `${lane.errors} failed`));
    const label = el('button', { type: 'button', class: 'lane-label', title: `${lane.label}: ${text}` }, el('b', {}, lane.label), small);
    label.dataset.lane = lane.id;
    label.dataset.text = text;
    label.addEventListener('click', () => this.app.chooseLane(lane));
    return label;
  }

  bind() {
    for (const canvas of [this.canvas, this.axis]) {
      canvas.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
      canvas.addEventListener('pointerdown', (event) => this.drag(event, canvas));
    }
    this.canvas.addEventListener('pointermove', (event) => this.hover(event));
    this.canvas.addEventListener('pointerleave', () => this.leave());
    this.axis.addEventListener('pointermove', (event) => this.hoverHead(event));
    this.axis.addEventListener('pointerleave', () => this.leave());
    this.scroller.addEventListener('scroll', () => this.draw());
  }

  wheel(event) {
    if (!this.app.picture) return;
    const sideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    event.preventDefault();
    const amount = (sideways ? event.deltaX || event.deltaY : event.deltaY) * (event.deltaMode === 1 ? 16 : 1);
    if (sideways) this.pan(amount / this.width);
    else this.zoom(Math.exp(amount * 0.0022), event.offsetX);
  }

  /** Drag pans (up and down scrolls lanes); without movement it is a click. */
  drag(down, canvas) {
    if (down.button !== 0) return;
    const view = this.view();
    const scrolled = this.scroller.scrollTop;
    let moved = false;
    canvas.setPointerCapture(down.pointerId);
    const move = (event) => {
      const [dx, dy] = [event.clientX - down.clientX, event.clientY - down.clientY];
      moved ||= Math.hypot(dx, dy) > 3;
      if (!moved) return;
      canvas.classList.add('dragging');
      this.leave();
      const by = -dx / view.width * (view.to - view.from);
      this.show(view.from + by, view.to + by);
      if (canvas === this.canvas) this.scroller.scrollTop = scrolled - dy;
    };
    const up = (event) => {
      canvas.removeEventListener('pointermove', move);
      canvas.classList.remove('dragging');
      if (!moved && canvas === this.canvas) this.click(event);
    };
    canvas.addEventListener('pointermove', move);
    canvas.addEventListener('pointerup', up, { once: true });
    canvas.addEventListener('pointercancel', up, { once: true });
  }

  async click(event) {
    const hit = this.hit(event.offsetX, event.offsetY);
    if (hit?.event) this.app.select(hit.event.id, hit.event);
    else if (hit?.link) this.app.select(hit.link.event);
    else {
      const lane = this.laneAt(event.offsetY);
      if (this.data.density && lane) this.app.selectNear(this.view().at(event.offsetX), { lane: lane.id });
      else if (lane) this.app.chooseLane(lane, this.view().at(event.offsetX));
    }
    this.scroller.focus({ preventScroll: true });
  }

  laneAt(y) {
    return this.lanes()[Math.floor((y + this.scroller.scrollTop) / paint.LANE)];
  }

  /** What lies at a pixel: a symbol, else work, else an arrow. */
  hit(x, y) {
    const view = this.view();
    const lanes = this.lanes();
    const lane = this.laneAt(y);
    const inLane = (y + this.scroller.scrollTop) % paint.LANE;
    const events = lane && !this.data.density ? this.data.byLane.get(lane.id) ?? [] : [];
    let best = null;
    let least = 5;
    for (const event of events) {
      const isSymbol = KINDS[event.kind].symbol;
      const spot = isSymbol ? { top: 13, height: 16 } : paint.place(event);
      const [from, to] = isSymbol ? [view.x(event.end) - 5, view.x(event.end) + 5] : [view.x(event.start), Math.max(view.x(event.end), view.x(event.start) + 1.5)];
      const away = Math.max(from - x, x - to, spot.top - inLane, inLane - spot.top - spot.height, 0) + (isSymbol ? 0 : 0.1);
      if (away < least) [best, least] = [event, away];
    }
    return best ? { event: best } : this.hitLink(x, y, view, lanes);
  }

  hitLink(x, y, view, lanes) {
    const middle = this.middles(lanes);
    for (const link of this.data.links) {
      const [from, to] = [middle.get(link.from), middle.get(link.to)];
      if (from === undefined || to === undefined || y < Math.min(from, to) || y > Math.max(from, to)) continue;
      // The arrow's curve, solved for y by halving: it falls or rises all the way.
      let [low, high] = [0, 1];
      for (let turn = 0; turn < 20; turn++) {
        const t = (low + high) / 2;
        if ((bezier(from, from + (to - from) * 0.55, to - (to - from) * 0.55, to, t) < y) === (to > from)) low = t;
        else high = t;
      }
      const [start, end] = [view.x(link.from_at), view.x(link.to_at)];
      if (Math.abs(bezier(start, start, end, end, low) - x) < 5) return { link };
    }
    return null;
  }

  hover(pointer) {
    if (pointer.buttons || !this.app.picture) return;
    const hit = this.hit(pointer.offsetX, pointer.offsetY);
    this.canvas.classList.toggle('over', Boolean(hit));
    if (this.hovered !== (hit?.link ?? null)) {
      this.hovered = hit?.link ?? null;
      this.draw();
    }
    if (hit?.event) this.tip(pointer, hit.event.title, describe(hit.event));
    else if (hit?.link) this.tip(pointer, `${hit.link.kind}: ${hit.link.label}`, `${moment(hit.link.from_at)} to ${moment(hit.link.to_at)}, ${length(hit.link.to_at - hit.link.from_at)}${hit.link.exact ? '' : ', joined by address and time'}`);
    else this.tip(pointer, '', moment(this.view().at(pointer.offsetX)));
  }

  hoverHead(pointer) {
    if (pointer.buttons || !this.app.picture) return;
    const view = this.view();
    const at = view.at(pointer.offsetX);
    const { phases, clauses } = this.app.picture;
    const near = clauses.filter((clause) => clause.since !== null && Math.abs(view.x(clause.since) - pointer.offsetX) < 5);
    const phase = phases.find((row) => row.start <= at && at <= row.end);
    if (pointer.offsetY > PHASES_H && near.length) this.tip(pointer, near.map((clause) => `${clause.label} ${moment(clause.since)}`).join(', '), near.map((clause) => `${clause.now} (${clause.source})`).join(', '));
    else if (phase) this.tip(pointer, `${phase.number} ${phase.name}`, `${length(phase.end - phase.start)}. ${phase.detail}`);
    else this.tip(pointer, '', moment(at));
  }

  tip(pointer, title, text) {
    const tip = byId('tip');
    tip.replaceChildren(title ? el('b', {}, title) : '', visible(text));
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(pointer.clientX + 12, innerWidth - box.width - 6))}px`;
    tip.style.top = `${pointer.clientY + 18 + box.height > innerHeight ? pointer.clientY - box.height - 10 : pointer.clientY + 18}px`;
  }

  leave() {
    byId('tip').hidden = true;
    if (this.hovered) {
      this.hovered = null;
      this.draw();
    }
  }
}

/** One line of facts on an event. */
export function describe(event) {
  const parts = [KINDS[event.kind].word, moment(event.start), length(event.end - event.start)];
  if (event.tokens) parts.push(`${tokens(event.tokens)} tokens`);
  if (event.cost_usd !== undefined) parts.push(money(event.cost_usd));
  if (event.error) parts.push('failed');
  return parts.join(' · ');
}

function facts(lane) {
  const number = (kind) => lane.counts[kind] ?? 0;
  if (lane.kind === 'merge_queue') return some(number('merge'), 'submission');
  const all = Object.values(lane.counts).reduce((sum, value) => sum + value, 0);
  if (lane.kind === 'unattributed' || lane.kind === 'contradicted') return [some(all, 'record'), money(lane.cost_usd)].filter(Boolean).join(' · ');
  const parts = [lane.issue, `${number('model_call')} calls`, lane.input_tokens ? tokens(lane.input_tokens + lane.output_tokens) : '', lane.cost_usd ? `$${lane.cost_usd.toFixed(2)}` : ''];
  return parts.filter(Boolean).join(' · ');
}

function group(events) {
  const map = new Map();
  for (const event of events) map.has(event.lane) ? map.get(event.lane).push(event) : map.set(event.lane, [event]);
  return map;
}

function bezier(a, b, c, d, t) {
  const s = 1 - t;
  return s * s * s * a + 3 * s * s * t * b + 3 * s * t * t * c + t * t * t * d;
}
