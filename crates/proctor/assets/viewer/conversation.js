// A model call as a conversation: system, user, assistant, calls of tools and what they gave. All of it is text of others: nothing is read as HTML.

import { ask } from './api.js';
import { count, el, some } from './format.js';

// A part that is longer is folded.
const LINES = 18;
const CHARACTERS = 1400;
const WORDS = { tool_call: 'calls', tool_result: 'result', thinking: 'thinking', error: 'error' };

/** The conversation of the event with this id; it is fetched at once and put in place when it is there. */
export function conversation(id) {
  const box = el('section', { class: 'conversation', 'aria-label': 'Conversation', 'aria-busy': 'true' }, el('h3', {}, 'Conversation'));
  ask(`conversation/${encodeURIComponent(id)}`)
    .then((told) => box.append(...whole(told)))
    .catch((error) => box.append(el('p', { class: 'meta' }, error.message)))
    .finally(() => box.removeAttribute('aria-busy'));
  return box;
}

function whole(told) {
  const asked = told.said.slice(0, told.asked);
  const system = asked.filter((said) => said.role === 'system');
  const talk = asked.filter((said) => said.role !== 'system');
  // What the model was told since it spoke last is new; all before it stands in the calls before.
  const fresh = talk.findLastIndex((said) => said.role === 'assistant') + 1;
  return [
    facts(told),
    ...told.notes.map((note) => el('p', { class: 'chip bad' }, note)),
    ...system.map((said) => fold(`system, ${some(length(said), 'character')}`, [said])),
    fresh ? fold(`${some(fresh, 'earlier message')}`, talk.slice(0, fresh)) : null,
    ...talk.slice(fresh).map((said) => message(said)),
    ...told.said.slice(told.asked).map((said) => message(said, 'answer')),
  ].filter(Boolean);
}

function facts(told) {
  const raw = told.files.flatMap((file) => [' · ', el('a', { href: `/files/${file.split('/').map(encodeURIComponent).join('/')}`, target: '_blank', rel: 'noopener' }, file.split('/').pop())]);
  const tools = told.tools.length ? el('span', { title: told.tools.join(', ') }, ` · ${some(told.tools.length, 'tool')} offered`) : '';
  const ended = told.stop_reason ? ` · ended with ${told.stop_reason}` : '';
  return el('p', { class: 'meta' }, `${some(told.asked, 'message')}${ended}`, tools, ...raw);
}

function length(said) {
  return said.parts.reduce((sum, part) => sum + part.text.length + (part.cut ?? 0), 0);
}

/** Messages that are made when somebody looks at them. */
function fold(title, list) {
  const box = el('details', { class: 'fold' }, el('summary', {}, title));
  box.addEventListener('toggle', () => {
    if (box.open && box.children.length === 1) box.append(...list.map((said) => message(said)));
  });
  return box;
}

function message(said, more = '') {
  const role = ['system', 'user', 'assistant'].includes(said.role) ? said.role : 'other';
  const parts = said.parts.length ? said.parts.map(part) : [el('p', { class: 'meta' }, 'nothing')];
  return el('div', { class: `message ${role} ${more}` }, el('b', {}, more ? `${said.role}, the answer` : said.role), ...parts);
}

function part(given) {
  const word = WORDS[given.kind];
  const name = [word, given.name].filter(Boolean).join(' ');
  const head = name ? el('span', { class: given.failed ? 'chip bad' : 'chip', title: given.id ?? null }, given.failed && given.kind === 'tool_result' ? 'result, failed' : name) : null;
  const body = given.kind === 'thinking' ? shut('thinking', given) : text(given);
  return el('div', { class: `part ${given.kind}` }, given.kind === 'thinking' ? null : head, body);
}

function shut(title, given) {
  return el('details', { class: 'fold' }, el('summary', {}, title), text(given));
}

/** A text; of a long one the beginning, with a button for the rest. */
function text(given) {
  const rest = given.cut ? `\n… ${count(given.cut)} more characters in the file` : '';
  const whole = `${given.text}${rest}`;
  const lines = whole.split('\n');
  if (lines.length <= LINES + 2 && whole.length <= CHARACTERS * 1.2) return el('pre', { tabindex: '0' }, whole);
  const short = lines.slice(0, LINES).join('\n').slice(0, CHARACTERS);
  const box = el('pre', { tabindex: '0' }, `${short}…`);
  const more = `Show all, ${some(lines.length, 'line')}, ${some(whole.length, 'character')}`;
  const button = el('button', { type: 'button', class: 'more', 'aria-expanded': 'false' }, more);
  button.addEventListener('click', () => {
    const open = button.getAttribute('aria-expanded') === 'true';
    box.replaceChildren(...el('pre', {}, open ? `${short}…` : whole).childNodes);
    button.setAttribute('aria-expanded', String(!open));
    button.replaceChildren(open ? more : 'Show less');
  });
  return el('div', {}, box, button);
}
