// The page: loads the run, keeps its parts in step with the state, and looks again while the run goes on.

import { ask, run } from './api.js';
import { Detail } from './detail.js';
import { Filters } from './filters.js';
import { count, length, say, some, visible } from './format.js';
import { listen, split } from './keys.js';
import { List } from './list.js';
import { Minimap } from './minimap.js';
import { State } from './state.js';
import { Timeline } from './timeline.js';

const LIVE_MS = 1000;
const STILL_MS = 10000;
const THEMES = ['', 'light', 'dark'];
const byId = (id) => document.getElementById(id);
const root = document.documentElement;

class App {
  constructor() {
    this.state = new State();
    this.timeline = new Timeline(this);
    this.minimap = new Minimap(this);
    this.list = new List(this);
    this.detail = new Detail(this);
    this.filters = new Filters(this);
    this.state.listen((now, before, arrived) => this.changed(now, before, arrived));
  }

  async start() {
    this.theme();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.theme());
    byId('theme').addEventListener('click', () => this.nextTheme());
    byId('zoom-in').addEventListener('click', () => this.timeline.zoom(0.6));
    byId('zoom-out').addEventListener('click', () => this.timeline.zoom(1 / 0.6));
    byId('fit').addEventListener('click', () => this.fit());
    byId('skip').addEventListener('click', (event) => {
      event.preventDefault();
      byId('list').focus();
    });
    const side = (pixels) => Math.min(Math.max(pixels, innerWidth * 0.2), innerWidth * 0.7);
    const rows = (pixels) => Math.min(Math.max(pixels, 90), innerHeight * 0.6);
    const drawn = () => this.timeline.resized();
    split({ id: 'split-v', variable: '--side', usual: Math.max(440, innerWidth * 0.27), within: side, measure: (event) => innerWidth - event.clientX, apply: drawn });
    split({ id: 'split-h', variable: '--rows', usual: Math.max(300, innerHeight * 0.3), within: rows, measure: (event) => byId('left').getBoundingClientRect().bottom - event.clientY - 26, apply: drawn });
    listen(this);
    await this.read();
    root.dataset.ready = 'true';
  }

  /** Reads the run anew when it has changed, and comes back for more. */
  async read() {
    try {
      const fresh = await run(this.run?.stamp);
      if (fresh) await this.take(fresh);
      else this.header();
      byId('problem').hidden = true;
    } catch (error) {
      this.problem(error);
    }
    setTimeout(() => this.read(), this.live() ? LIVE_MS : STILL_MS);
  }

  live() {
    return Boolean(this.picture?.live) && !this.run.verdict;
  }

  async take(fresh) {
    const first = !this.run;
    const following = !first && this.state.value.to !== null && Math.abs(this.state.value.to - this.picture.end) < 0.05;
    this.run = fresh;
    this.picture = fresh.picture;
    this.byId = new Map(this.picture.lanes.map((lane) => [lane.id, lane]));
    if (following) this.state.set({ to: this.picture.end });
    this.header();
    this.filters.draw();
    this.timeline.resized();
    await Promise.all([this.timeline.load(), this.minimap.load(), this.list.load()]);
    this.summary();
    if (first) await this.open();
    else if (!this.state.value.sel) await this.detail.show();
  }

  /** Follows the address: an agent and a moment choose the event that is nearest. An address is no step of its own. */
  async open() {
    const { agent, at, sel } = this.state.value;
    if (sel) await this.arrive(sel, true);
    else if (agent && at !== null && this.laneOf(agent)) await this.selectNear(at, { agent }, true);
    else await this.detail.show();
  }

  /** The lane of an agent, by its short or long address; of several lives the one that a moment lies in. */
  laneOf(agent, at = null) {
    const lives = this.picture.lanes.filter((lane) => lane.label === agent || lane.agent === agent);
    return lives.find((lane) => at !== null && lane.start <= at && at <= lane.end) ?? lives[0];
  }

  lane(id) {
    return this.byId.get(id);
  }

  header() {
    const { run: facts, verdict, changed_ms: changed } = this.run;
    say(byId('title'), facts?.title ?? 'Run');
    document.title = visible(`${facts?.title ?? 'Run'} ${facts?.id ?? ''} · Proctor`);
    const badge = byId('verdict');
    const word = verdict?.outcome ?? (this.live() ? 'in_progress' : '');
    badge.hidden = !word;
    badge.className = `verdict ${word}`;
    say(badge, word.replace(/_/g, ' ').toUpperCase());
    const age = Math.max(0, Math.round((Date.now() - changed) / 1000));
    const parts = [facts && `run ${facts.id}`, facts && `${facts.town} town`, facts?.models, length(this.picture.end - this.picture.start), this.live() && `last change ${length(age)} ago`];
    say(byId('facts'), parts.filter(Boolean).join(' · '));
    byId('report').hidden = !verdict;
  }

  /** How much of what there is can be seen: nothing is left out unsaid. */
  summary() {
    const { tally, lanes } = this.picture;
    // Of a run in progress, the list may be newer than the picture: each says how many there were when it was made.
    const parts = [`${count(this.list.total)} of ${some(this.list.all ?? tally.events, 'event')} shown`];
    if (this.timeline.data.density) parts.push('drawn as density, zoom in for single events');
    parts.push(`${count(this.timeline.lanes().length)} of ${some(lanes.length, 'lane')}`);
    const { links, linkTotal } = this.timeline.data;
    const hidden = links.length < linkTotal ? ', the first in view' : '';
    parts.push(`${count(links.length)} of ${some(this.run.links, 'arrow')}${hidden}`);
    const nobody = Object.values(tally.unattributed).reduce((sum, share) => sum + share.count, 0);
    if (nobody) parts.push(`${some(nobody, 'record')} of nobody`);
    if (tally.unreadable.length) parts.push(`${some(tally.unreadable.length, 'line or file', 'lines or files')} unreadable`);
    say(byId('summary'), parts.join(' · '));
  }

  async changed(now, before, arrived) {
    if (now.theme !== before.theme) this.theme();
    if (!this.picture) return;
    // Back, Forward, or an address typed in: what it names may have to be looked for.
    if (arrived && !now.sel && now.agent && now.at !== null) this.guard(this.open());
    const same = (names) => names.every((name) => String(now[name]) === String(before[name]));
    const filter = same(['kind', 'role', 'rig', 'lane', 'errors', 'q']);
    if (!filter) this.filters.draw();
    this.timeline.draw();
    if (filter) this.minimap.draw();
    if (!filter || !same(['from', 'to'])) this.later(filter);
    if (!same(['sel', 'agent']) || (!now.sel && !same(['at']))) this.guard(this.detail.show());
    if (!same(['sel'])) this.guard(this.list.choose(now.sel));
  }

  /** Fetches what a new window or filter needs once the hand rests. */
  later(filter) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.guard(this.refresh(filter)), 70);
  }

  async refresh(filter) {
    await Promise.all([this.timeline.load(), this.list.load(), filter ? null : this.minimap.load()]);
    this.summary();
  }

  guard(promise) {
    promise.catch((error) => this.problem(error));
  }

  problem(error) {
    const text = byId('problem');
    say(text, error.message === 'Failed to fetch' ? 'The viewer\'s server does not answer. Is `proctor view` still running?' : error.message);
    text.hidden = false;
  }

  /** Chooses an event; with no id, nothing. */
  select(id, event, quiet = false) {
    if (!id) return this.state.set({ sel: '', agent: '', at: null });
    if (!event) return this.guard(this.arrive(id));
    const lane = this.lane(event.lane);
    this.state.set({ sel: id, agent: lane?.label ?? '', at: event.start }, { quiet });
    this.timeline.reveal(event.start, event.lane);
    // Where the panel lies below everything, what was chosen would be out of sight.
    if (!quiet && matchMedia('(max-width: 700px)').matches) byId('detail').scrollIntoView({ block: 'start' });
  }

  /** Chooses an event that is only known by its id. */
  async arrive(id, quiet = false) {
    const { event } = await ask(`event/${encodeURIComponent(id)}`).catch(() => ({}));
    if (event) this.select(id, event, quiet);
    await Promise.all([this.detail.show(), this.list.choose(id)]);
  }

  /** Chooses the event that is nearest to a moment, among those that match. */
  async selectNear(at, also = {}, quiet = false) {
    const { id } = await ask('near', { ...this.state.filter(), ...also, at });
    if (id) await this.arrive(id, quiet);
    else await this.detail.show();
  }

  chooseLane(lane, at = null) {
    this.state.set({ agent: lane.label, sel: '', at });
  }

  async walk(direction) {
    const { sel, at, agent } = this.state.value;
    if (!sel) return this.selectNear(at ?? this.timeline.view().from, agent ? { agent } : {});
    const detail = await ask(`event/${encodeURIComponent(sel)}`);
    if (detail[direction]) this.select(detail[direction]);
  }

  async walkLane(step) {
    const lanes = this.timeline.lanes();
    const { sel, at, agent } = this.state.value;
    const here = sel ? (await ask(`event/${encodeURIComponent(sel)}`)).event.lane : lanes.find((lane) => lane.label === agent)?.id;
    const index = lanes.findIndex((lane) => lane.id === here) + step;
    const next = lanes[Math.min(lanes.length - 1, Math.max(0, index))];
    if (next) await this.selectNear(at ?? this.timeline.view().from, { lane: next.id });
  }

  async nextError() {
    const { at } = this.state.value;
    const asked = { ...this.state.filter(), errors: 'true' };
    const page = await ask('events', { ...asked, from: at ?? undefined, limit: 200 });
    const next = page.events.find((event) => event.start > (at ?? -Infinity)) ?? (await ask('events', { ...asked, limit: 1 })).events[0];
    if (next) this.select(next.id, next);
  }

  fit() {
    this.state.set({ from: null, to: null });
  }

  back() {
    const { sel, agent } = this.state.value;
    const menu = document.querySelector('.choices details[open]');
    if (menu) menu.open = false;
    else if (sel || agent) this.select('');
    else if (this.state.filtered()) this.filters.clear();
    else this.fit();
  }

  theme() {
    const wanted = this.state.value.theme;
    const system = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
    root.dataset.theme = wanted || system;
    byId('theme').textContent = `Theme: ${wanted || 'system'}`;
    this.timeline.themed();
    this.minimap.draw();
  }

  nextTheme() {
    this.state.set({ theme: THEMES[(THEMES.indexOf(this.state.value.theme) + 1) % THEMES.length] });
  }
}

new App().start();
