// Filters by text, kind, role and rig.

import { KINDS, count, dot, el } from './format.js';

const byId = (id) => document.getElementById(id);
const LISTS = { kind: 'Kind', role: 'Role', rig: 'Rig', lane: 'Lane' };

export class Filters {
  constructor(app) {
    this.app = app;
    byId('text').addEventListener('input', () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => app.state.set({ q: byId('text').value }), 180);
    });
    byId('filters').addEventListener('submit', (event) => event.preventDefault());
    byId('errors').addEventListener('change', (event) => app.state.set({ errors: event.target.checked }));
    for (const id of ['clear', 'clear-2']) byId(id).addEventListener('click', () => this.clear());
    addEventListener('pointerdown', (event) => {
      for (const menu of document.querySelectorAll('.choices details[open]')) if (!menu.contains(event.target)) menu.open = false;
    });
  }

  clear() {
    byId('text').value = '';
    this.app.state.set({ q: '', kind: [], role: [], rig: [], lane: [], errors: false });
  }

  /** Draws the menus anew: what can be chosen comes from the run. */
  draw() {
    const state = this.app.state.value;
    if (document.activeElement !== byId('text')) byId('text').value = state.q;
    byId('errors').checked = state.errors;
    byId('clear').hidden = !this.app.state.filtered();
    const open = [...document.querySelectorAll('.choices details[open]')].map((menu) => menu.dataset.name);
    const focused = document.activeElement?.dataset?.choice;
    byId('choices').replaceChildren(...Object.keys(LISTS).map((name) => this.menu(name, open.includes(name))));
    if (focused) document.querySelector(`[data-choice="${CSS.escape(focused)}"]`)?.focus();
  }

  menu(name, open) {
    const chosen = this.app.state.value[name];
    const text = chosen.length ? `${LISTS[name]}: ${chosen.length === 1 ? this.word(name, chosen[0]) : chosen.length}` : LISTS[name];
    const options = this.options(name).map(([value, amount]) => this.option(name, value, amount, chosen));
    const menu = el('details', { open }, el('summary', { class: chosen.length ? 'active' : null }, text), el('div', { class: 'menu', role: 'group', 'aria-label': LISTS[name] }, ...options));
    menu.dataset.name = name;
    return menu;
  }

  option(name, value, amount, chosen) {
    const toggle = (event) => this.app.state.set({ [name]: event.target.checked ? [...chosen, value] : chosen.filter((entry) => entry !== value) });
    const box = el('input', { type: 'checkbox', checked: chosen.includes(value), onchange: toggle });
    box.dataset.choice = `${name}-${value}`;
    return el('label', {}, box, name === 'kind' ? dot(value) : null, this.word(name, value), el('span', { class: 'count' }, count(amount)));
  }

  word(name, value) {
    if (name === 'kind') return KINDS[value]?.word ?? value;
    return name === 'lane' ? this.app.lane(value)?.label ?? value : value;
  }

  /** Values that the run has, with how many events each. */
  options(name) {
    const { lanes, tally } = this.app.picture;
    if (name === 'kind') return Object.keys(KINDS).filter((kind) => tally.kinds[kind]).map((kind) => [kind, tally.kinds[kind]]);
    const sums = new Map();
    for (const lane of lanes) {
      const value = name === 'lane' ? lane.id : lane[name];
      if (value) sums.set(value, (sums.get(value) ?? 0) + Object.values(lane.counts).reduce((sum, amount) => sum + amount, 0));
    }
    return [...sums];
  }
}
