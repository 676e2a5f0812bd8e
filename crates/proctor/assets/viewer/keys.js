// The keyboard.

import { KINDS, dot, el } from './format.js';

const byId = (id) => document.getElementById(id);

/** Key, what it does for people, and what it does. */
function bindings(app) {
  const { timeline } = app;
  return [
    [['ArrowLeft'], '←', 'previous event of the lane', () => app.walk('previous')],
    [['ArrowRight'], '→', 'next event of the lane', () => app.walk('next')],
    [['ArrowUp'], '↑', 'lane above, at the same time; in the list: event before', () => app.walkLane(-1)],
    [['ArrowDown'], '↓', 'lane below, at the same time; in the list: event after', () => app.walkLane(1)],
    [['n'], 'n', 'next failure', () => app.nextError()],
    [['+', '=', 'w'], '+ or w', 'zoom in', () => timeline.zoom(0.6)],
    [['-', '_', 's'], '- or s', 'zoom out', () => timeline.zoom(1 / 0.6)],
    [['a'], 'a', 'move left', () => timeline.pan(-0.2)],
    [['d'], 'd', 'move right', () => timeline.pan(0.2)],
    [['0', 'f'], '0 or f', 'whole run', () => app.fit()],
    [['Home'], 'Home', 'first event', () => app.selectNear(-1e12)],
    [['End'], 'End', 'last event', () => app.selectNear(1e12)],
    [['/'], '/', 'filter by text', () => byId('text').focus()],
    [['Escape'], 'Esc', 'close the detail; then clear filters', () => app.back()],
    [['?'], '?', 'this help', () => byId('help').showModal()],
  ];
}

/** Listens to the keyboard and fills the help. */
export function listen(app) {
  const list = bindings(app);
  for (const [, label, text] of list) byId('keys').append(el('dt', {}, el('kbd', {}, label)), el('dd', {}, text));
  for (const [kind, { word }] of Object.entries(KINDS)) byId('legend').append(el('span', {}, dot(kind), word));
  byId('help-open').addEventListener('click', () => byId('help').showModal());
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || byId('help').open || !app.picture) return;
    const typing = event.target.matches('input[type="search"]');
    if (typing && event.key !== 'Escape') return;
    if (event.target.closest('.split, .menu, pre') && event.key.startsWith('Arrow')) return;
    const found = list.find(([keys]) => keys.includes(event.key));
    if (!found) return;
    event.preventDefault();
    if (typing) event.target.blur();
    else found[3]();
  });
}

/** Lets a bar between two parts be dragged, or moved with arrow keys, changing a CSS variable. The browser remembers it. */
export function split({ id, variable, usual, within, measure, apply }) {
  const handle = byId(id);
  let now = within(kept(variable) ?? usual);
  const set = (pixels) => {
    now = within(pixels);
    document.documentElement.style.setProperty(variable, `${Math.round(now)}px`);
    apply();
  };
  set(now);
  addEventListener('resize', () => set(kept(variable) ?? now));
  handle.addEventListener('pointerdown', (down) => {
    handle.setPointerCapture(down.pointerId);
    const move = (event) => set(measure(event));
    handle.addEventListener('pointermove', move);
    handle.addEventListener('pointerup', () => {
      handle.removeEventListener('pointermove', move);
      keep(variable, now);
    }, { once: true });
  });
  handle.addEventListener('keydown', (event) => {
    const step = { ArrowLeft: 30, ArrowUp: 30, ArrowRight: -30, ArrowDown: -30 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    set(now + step);
    keep(variable, now);
  });
}

// A browser may refuse to remember anything; then the usual size it is.
function kept(variable) {
  try {
    const pixels = Number(localStorage.getItem(`proctor${variable}`));
    return pixels > 0 ? pixels : null;
  } catch {
    return null;
  }
}

function keep(variable, pixels) {
  try {
    localStorage.setItem(`proctor${variable}`, String(Math.round(pixels)));
  } catch {
    // See kept.
  }
}
