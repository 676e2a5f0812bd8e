// What is looked at: the address bar holds all of it, so that a link shows the same to somebody else.

const LISTS = ['kind', 'role', 'rig', 'lane'];
const NUMBERS = ['from', 'to', 'at'];
const TEXTS = ['agent', 'sel', 'q', 'theme'];
const STEPS = ['agent', 'sel', 'kind', 'role', 'rig', 'lane', 'errors'];

/** The state that an address holds, such as `#agent=eve/furiosa&at=12.31`. */
export function parse(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ''));
  const state = { errors: given.get('errors') === '1' };
  for (const name of LISTS) state[name] = (given.get(name) ?? '').split(',').filter(Boolean);
  for (const name of TEXTS) state[name] = given.get(name) ?? '';
  for (const name of NUMBERS) {
    const value = given.get(name);
    state[name] = value !== null && value !== '' && Number.isFinite(Number(value)) ? Number(value) : null;
  }
  return state;
}

/** The address of a state. */
export function format(state) {
  const parts = [];
  const add = (name, value) => parts.push(`${name}=${encodeURIComponent(value).replace(/%2F/g, '/').replace(/%2C/g, ',').replace(/%3A/g, ':')}`);
  for (const name of TEXTS) if (state[name]) add(name, state[name]);
  for (const name of LISTS) if (state[name].length) add(name, state[name].join(','));
  for (const name of NUMBERS) if (state[name] !== null) add(name, Number(state[name].toFixed(6)));
  if (state.errors) parts.push('errors=1');
  return parts.length ? `#${parts.join('&')}` : '';
}

/** The state, who wants to know of its changes, and the address bar. */
export class State {
  constructor() {
    this.value = parse(location.hash);
    this.listeners = [];
    this.timer = 0;
    this.step = false;
    addEventListener('popstate', () => {
      clearTimeout(this.timer);
      this.step = false;
      const before = this.value;
      this.value = parse(location.hash);
      this.tell(before, true);
    });
  }

  /** Calls `listener(now, before)` after every change. */
  listen(listener) {
    this.listeners.push(listener);
  }

  /** Changes some of it. What is chosen or filtered is a step that the browser's Back undoes; moving and zooming is none. */
  set(patch, { quiet = false } = {}) {
    const before = this.value;
    this.value = { ...before, ...patch };
    this.step ||= !quiet && STEPS.some((name) => String(this.value[name]) !== String(before[name]));
    // Browsers refuse too many changes of the address in a short time, as panning would make.
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.write(), 120);
    this.tell(before);
  }

  /** Writes the address now. */
  write() {
    clearTimeout(this.timer);
    const address = `${location.pathname}${location.search}${format(this.value)}`;
    if (this.step) history.pushState(null, '', address);
    else history.replaceState(null, '', address);
    this.step = false;
  }

  tell(before, arrived = false) {
    for (const listener of this.listeners) listener(this.value, before, arrived);
  }

  /** The parameters that the filter adds to a question. */
  filter() {
    const { kind, role, rig, lane, errors, q } = this.value;
    const asked = {};
    for (const [name, list] of Object.entries({ kind, role, rig, lane })) if (list.length) asked[name] = list.join(',');
    if (errors) asked.errors = 'true';
    if (q.trim()) asked.text = q.trim();
    return asked;
  }

  /** Whether anything is filtered. */
  filtered() {
    return Object.keys(this.filter()).length > 0;
  }
}
