// The events in view as a list. Only the rows that can be seen exist, fetched page by page, so that a million are no more work than ten.

import { ask, Latest } from './api.js';
import { KINDS, dot, el, length, moment, money, tokens } from './format.js';

const ROW = 24;
const PAGE = 200;

export class List {
  constructor(app) {
    this.app = app;
    this.box = document.getElementById('list');
    this.space = document.getElementById('list-space');
    this.latest = new Latest();
    this.pages = new Map();
    this.total = 0;
    this.rank = null;
    this.box.addEventListener('scroll', () => this.draw());
    this.box.addEventListener('keydown', (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.box);
  }

  asked() {
    const { from, to } = this.app.state.value;
    return { ...this.app.state.filter(), from, to };
  }

  /** Asks anew what is in view, keeping rows until the answer is there. */
  async load() {
    const asked = this.asked();
    const chosen = this.app.state.value.sel;
    const first = Math.floor(this.box.scrollTop / ROW / PAGE);
    const answer = await this.latest.of(() => Promise.all([ask('events', { ...asked, offset: first * PAGE, limit: PAGE }), chosen ? ask('rank', { ...asked, id: chosen }) : { rank: null }]));
    if (!answer) return;
    const [page, { rank }] = answer;
    this.total = page.total;
    this.all = page.all;
    this.rank = rank;
    this.pages = new Map([[first, page.events]]);
    document.getElementById('nothing').hidden = this.total > 0;
    this.draw();
  }

  /** Marks the chosen event and brings it into sight. */
  async choose(id) {
    const { rank } = id ? await ask('rank', { ...this.asked(), id }) : { rank: null };
    if (id !== this.app.state.value.sel) return;
    this.rank = rank;
    if (rank !== null) {
      const [top, height] = [rank * ROW, this.box.clientHeight];
      if (top < this.box.scrollTop) this.box.scrollTop = top;
      else if (top + ROW > this.box.scrollTop + height) this.box.scrollTop = top + ROW - height;
    }
    this.draw();
  }

  async event(index) {
    const number = Math.floor(index / PAGE);
    if (!this.pages.has(number)) await this.fetch(number);
    return this.pages.get(number)?.[index % PAGE];
  }

  async fetch(number) {
    const pages = this.pages;
    pages.set(number, []);
    const page = await ask('events', { ...this.asked(), offset: number * PAGE, limit: PAGE });
    pages.set(number, page.events);
    if (pages === this.pages) this.draw();
  }

  draw() {
    this.space.style.height = `${this.total * ROW}px`;
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW) - 4);
    const last = Math.min(this.total, Math.ceil((this.box.scrollTop + this.box.clientHeight) / ROW) + 4);
    const rows = [];
    for (let index = first; index < last; index++) {
      const page = this.pages.get(Math.floor(index / PAGE));
      if (!page) this.fetch(Math.floor(index / PAGE)).catch((error) => this.app.problem(error));
      const event = page?.[index % PAGE];
      if (event) rows.push(this.row(event, index));
    }
    this.space.replaceChildren(...rows);
    const active = rows.find((row) => row.getAttribute('aria-selected') === 'true');
    if (active) this.box.setAttribute('aria-activedescendant', active.id);
    else this.box.removeAttribute('aria-activedescendant');
  }

  row(event, index) {
    const lane = this.app.lane(event.lane);
    const chosen = event.id === this.app.state.value.sel;
    const row = el(
      'div',
      { class: event.error ? 'row bad' : 'row', role: 'option', id: `row-${event.id}`, 'aria-selected': String(chosen), 'aria-setsize': this.total, 'aria-posinset': index + 1, onclick: () => this.app.select(event.id, event) },
      el('span', { class: 'n' }, moment(event.start)),
      el('span', { class: 'n' }, event.end > event.start ? length(event.end - event.start) : ''),
      el('span', { title: lane?.label }, lane?.label ?? event.lane),
      el('span', { class: 'kind' }, dot(event.kind), KINDS[event.kind].word),
      el('span', { class: 'what', title: event.title }, event.error ? `✗ ${event.title}` : event.title),
      el('span', { class: 'n' }, tokens(event.tokens)),
      el('span', { class: 'n' }, money(event.cost_usd)),
    );
    row.style.top = `${index * ROW}px`;
    return row;
  }

  async key(event) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / ROW) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.total, End: this.total };
    const step = steps[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey || !this.total) return;
    event.preventDefault();
    event.stopPropagation();
    const from = this.rank ?? (step > 0 ? -1 : this.total);
    const index = Math.min(this.total - 1, Math.max(0, from + step));
    const next = await this.event(index);
    if (next) this.app.select(next.id, next);
  }
}
