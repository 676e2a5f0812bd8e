// Times, amounts and kinds as people read them.

/** Kinds of event: word, CSS variable of the colour, letter drawn as a symbol (kinds that are moments, not work). */
export const KINDS = {
  model_call: { word: 'model call', color: '--pt-model' },
  tool_call: { word: 'tool call', color: '--pt-tool' },
  prompt: { word: 'prompt', color: '--pt-rest', symbol: 'prompt' },
  mail: { word: 'mail', color: '--pt-mail', symbol: 'mail' },
  nudge: { word: 'nudge', color: '--pt-nudge', symbol: 'nudge' },
  sling: { word: 'sling', color: '--pt-sling', symbol: 'sling' },
  done: { word: 'done', color: '--pt-done', symbol: 'done' },
  merge: { word: 'merge', color: '--pt-merge' },
  prime: { word: 'prime', color: '--pt-rest' },
  bd: { word: 'bd', color: '--pt-rest' },
  lifecycle: { word: 'lifecycle', color: '--pt-rest' },
  other: { word: 'other', color: '--pt-rest' },
};

/** A length of time with its unit. */
export function length(seconds) {
  const size = Math.abs(seconds);
  if (size < 5e-7) return '0 s';
  if (size < 0.0009995) return `${trim(seconds * 1e6, 0)} µs`;
  if (size < 0.9995) return `${trim(seconds * 1e3, size < 0.01 ? 2 : size < 0.1 ? 1 : 0)} ms`;
  if (size < 99.995) return `${trim(seconds, 2)} s`;
  const whole = Math.round(seconds);
  if (size < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${pad(Math.floor(whole % 3600 / 60))} min`;
}

/** A moment of the run, in seconds since its start. */
export function moment(seconds) {
  return `${seconds <= -0.0005 ? '−' : '+'}${Math.abs(seconds).toFixed(3)} s`;
}

/** A label on the time axis whose ticks are `step` seconds apart. */
export function tick(seconds, step) {
  if (Math.abs(seconds) < step / 1e6) return '0 s';
  if (step < 0.001) return `${trim(seconds * 1e3, 3)} ms`;
  if (step < 1 && Math.abs(seconds) < 1) return `${trim(seconds * 1e3, 1)} ms`;
  if (step < 60) return `${trim(seconds, Math.max(0, Math.ceil(-Math.log10(step))))} s`;
  return length(seconds);
}

/** The distance of ticks in seconds: 1, 2, 5 times a power of ten, then round minutes and hours. */
export function tickStep(span, most) {
  const least = span / Math.max(1, most);
  if (least > 20) return [30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200].find((step) => step >= least) ?? 86400 * Math.ceil(least / 86400);
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= least) ?? least;
}

/** A number with thin spaces between thousands. */
export function count(value) {
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** Tokens in short: `1.2 k`. */
export function tokens(value) {
  if (value === undefined || value === null) return '';
  if (value < 1000) return String(value);
  return value < 999950 ? `${trim(value / 1e3, 1)} k` : `${trim(value / 1e6, 1)} M`;
}

/** US dollars; small amounts keep their digits. */
export function money(value) {
  if (value === undefined || value === null) return '';
  return `$${value.toFixed(value !== 0 && Math.abs(value) < 1 ? 4 : 2)}`;
}

/** One thing or many. */
export function some(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

function trim(value, digits) {
  return digits === 0 ? value.toFixed(0) : value.toFixed(digits).replace(/\.?0+$/, '');
}

function pad(value) {
  return String(value).padStart(2, '0');
}

// What acts instead of being seen: control characters, bidirectional controls, characters of no width (proctor_judge::visible).
const ACTS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\ufffe\uffff]|[\u{e0000}-\u{e0fff}]/gu;

/** A text whose characters can all be seen: agents choose names and outputs. Line breaks and tabs stay. */
export function visible(text) {
  return String(text).replace(/\r\n/g, '\n').replace(ACTS, (character) => {
    if (character === '\r') return '\\r';
    const code = character.codePointAt(0).toString(16);
    return code.length < 3 ? `\\x${code.padStart(2, '0')}` : `\\u{${code}}`;
  });
}

/** Makes an element: `el('p', { class: 'x' }, 'text', child)`. Text is never read as HTML. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(key, value === true ? '' : shown(key, value));
  }
  element.append(...children.filter((child) => child !== undefined && child !== null).map((child) => (child instanceof Node ? child : visible(child))));
  return element;
}

/** Puts a text in place of what an element holds. */
export function say(element, text) {
  element.replaceChildren(visible(text));
}

// Attributes that people read; any other one is a name of the page's own or an address.
function shown(key, value) {
  return key === 'title' || key === 'aria-label' ? visible(value) : value;
}

/** A small square in the colour of a kind. */
export function dot(kind) {
  const square = el('span', { class: 'dot' });
  square.style.background = `var(${KINDS[kind]?.color ?? '--pt-rest'})`;
  return square;
}
