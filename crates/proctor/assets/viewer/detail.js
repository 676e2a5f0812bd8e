// The panel: all of the selected event, or of a lane, or of the run.

import { ask, Latest } from './api.js';
import { conversation } from './conversation.js';
import { KINDS, count, dot, el, length, moment, money, some, tokens } from './format.js';

const CODE = new Set(['model_call', 'tool_call', 'bd', 'merge']);

export class Detail {
  constructor(app) {
    this.app = app;
    this.panel = document.getElementById('detail');
    this.latest = new Latest();
  }

  /** Shows what the state names. */
  async show() {
    const { sel, agent, at } = this.app.state.value;
    if (sel) return this.event(sel);
    const lane = agent ? this.app.laneOf(agent, at) : undefined;
    this.latest.turn++;
    delete this.panel.dataset.shows;
    this.put(...(lane ? this.lane(lane) : agent ? this.unknown(agent) : this.run()));
  }

  put(...children) {
    this.panel.replaceChildren(...children.filter(Boolean));
    this.panel.scrollTop = 0;
  }

  async event(id) {
    const detail = await this.latest.of(() => ask(`event/${encodeURIComponent(id)}`).catch((error) => ({ error })));
    if (!detail) return;
    if (detail.error) return this.put(this.close(), el('h2', {}, 'Not in this run'), el('p', {}, detail.error.message));
    const told = detail.body ? conversation(id) : null;
    // Where the gateway kept all of a call, what its journal has of it is the beginning of that.
    const brief = detail.sections.filter(({ title }) => told && (title === 'Asked' || title === 'Answered'));
    const sections = detail.sections.filter((part) => !brief.includes(part)).map(section);
    if (brief.length) sections.push(el('details', { class: 'fold' }, el('summary', {}, 'As the journal has it'), ...brief.map(section)));
    this.put(this.bar(detail), ...this.heading(detail), told, ...sections, this.links(detail), evidence(detail.evidence));
    this.panel.dataset.shows = id;
  }

  close() {
    return el('div', { class: 'bar' }, el('span', { class: 'grow' }), el('button', { type: 'button', title: 'Close (Esc)', 'aria-label': 'Close', onclick: () => this.app.select('') }, '×'));
  }

  /** What an address named is not there: said, with what is. */
  unknown(agent) {
    const item = (lane) => el('li', {}, el('button', { type: 'button', onclick: () => this.app.chooseLane(lane) }, lane.label));
    const lanes = this.app.picture.lanes.filter((lane) => lane.agent);
    return [this.close(), el('h2', {}, `No agent “${agent}” in this run`), el('p', {}, 'The address names it. The agents of this run:'), el('ul', { class: 'links' }, ...lanes.map(item))];
  }

  bar(detail) {
    const go = (label, id, title) => el('button', { type: 'button', title, disabled: !id, onclick: () => this.app.select(id) }, label);
    return el(
      'div',
      { class: 'bar' },
      el('span', { class: 'chip' }, dot(detail.event.kind), KINDS[detail.event.kind].word),
      detail.event.error ? el('span', { class: 'chip bad' }, 'failed') : null,
      el('span', { class: 'grow' }),
      go('←', detail.previous, 'Previous event of this lane (←)'),
      go('→', detail.next, 'Next event of this lane (→)'),
      el('button', { type: 'button', title: 'Show it as large as the view', onclick: () => this.zoomTo(detail.event) }, 'Zoom'),
      el('button', { type: 'button', title: 'Close (Esc)', 'aria-label': 'Close', onclick: () => this.app.select('') }, '×'),
    );
  }

  zoomTo(event) {
    const span = Math.max(event.end - event.start, 0.01);
    this.app.timeline.show(event.start - span * 0.5, event.end + span * 0.5);
  }

  heading({ event }) {
    const lane = this.app.lane(event.lane);
    const time = new Date(new Date(this.app.picture.origin).getTime() + event.start * 1000);
    const facts = [event.tokens ? `${tokens(event.tokens)} tokens` : '', event.cost_usd !== undefined ? money(event.cost_usd) : ''].filter(Boolean);
    return [
      el('h2', { class: CODE.has(event.kind) ? 'code' : null }, event.title),
      el('p', { class: 'meta' }, el('b', {}, lane?.label ?? event.lane), ' · ', el('b', { title: time.toISOString() }, moment(event.start)), event.end > event.start ? ` for ${length(event.end - event.start)}` : '', facts.length ? ` · ${facts.join(' · ')}` : ''),
    ];
  }

  links(detail) {
    if (!detail.links.length) return null;
    const id = detail.event.id;
    const item = (link) => {
      const leaves = link.event === id;
      const other = this.app.lane(leaves ? link.to : link.from);
      const target = leaves ? link.to_event : link.event;
      const text = `${link.kind} ${leaves ? 'to' : 'from'} ${other?.label} at ${moment(leaves ? link.to_at : link.from_at)}`;
      const after = ` ${link.label}, after ${length(link.to_at - link.from_at)}${link.exact ? '' : ' (joined by address and time)'}`;
      const jump = target ? () => this.app.select(target) : () => this.app.chooseLane(other, link.to_at);
      return el('li', {}, el('button', { type: 'button', onclick: jump }, text), after);
    };
    return el('div', {}, el('h3', {}, 'Hand-over'), el('ul', { class: 'links' }, ...detail.links.map(item)));
  }

  lane(lane) {
    const rows = [
      ['Agent', lane.agent], ['Role', lane.role], ['Rig', lane.rig], ['Session', lane.session], ['Program', lane.program], ['Issue', lane.issue],
      ['Began', moment(lane.start)], ['Ended', lane.ended ? moment(lane.end) : lane.kind === 'session' ? 'still going on' : moment(lane.end)], ['How', lane.exit],
      ['Input tokens', count(lane.input_tokens)], ['Output tokens', count(lane.output_tokens)], ['Cost', lane.cost_usd === null ? 'not stated by its records' : money(lane.cost_usd)], ['Failed', count(lane.errors)],
    ];
    const only = () => this.app.state.set({ lane: [lane.id] });
    const errors = () => this.app.state.set({ lane: [lane.id], errors: true });
    return [
      el('div', { class: 'bar' }, el('span', { class: 'chip' }, 'lane'), el('span', { class: 'grow' }), el('button', { type: 'button', onclick: only }, 'Only this lane'), lane.errors ? el('button', { type: 'button', onclick: errors }, 'Its failures') : null, el('button', { type: 'button', 'aria-label': 'Close', onclick: () => this.app.select('') }, '×')),
      el('h2', {}, lane.label),
      facts(rows),
      el('h3', {}, 'Events'),
      facts(Object.entries(lane.counts).map(([kind, value]) => [KINDS[kind].word, count(value)])),
      lane.kind === 'session' ? evidence(['evidence/transcripts/', 'evidence/town/sessions.ndjson']) : null,
    ];
  }

  run() {
    const { run, verdict, picture } = this.app.run;
    const { tally } = picture;
    return [
      el('h2', {}, verdict?.headline ?? run?.title ?? 'This run'),
      facts([['Scenario', run?.scenario], ['Town', run?.town], ['Models', run?.models], ['Run', run?.id], ['Began', run?.started_at], ['Length', length(picture.end - picture.start)], ['Cost', tally.cost_usd === null ? 'not stated by any record' : money(tally.cost_usd)], ['Repeat it', run?.command]]),
      run?.stopped ? el('p', { class: 'chip bad' }, `${run.stopped.message}${run.stopped.hint ? ` Next: ${run.stopped.hint}` : ''}`) : null,
      this.clauses(picture.clauses),
      el('h3', {}, 'What was read'),
      facts([['Events shown', count(tally.events)], ['Log records', count(tally.log_records)], ['Gateway exchanges', count(tally.exchanges)], ['Mails', count(tally.mails)], ['Submissions', count(tally.merge_requests)], ...Object.entries(tally.joined).map(([reason, value]) => [reason, count(value)])]),
      ...shares('Records of nobody', tally.unattributed),
      ...shares('Records whose identity contradicts their address', tally.contradicted),
      ...unresolved(tally),
      el('p', { class: 'meta' }, 'Select anything to see all of it. ', el('kbd', {}, '?'), ' shows the keyboard.'),
    ];
  }

  clauses(clauses) {
    if (!clauses.length) return null;
    const row = (clause) => el('tr', { class: clause.value ? null : 'bad' }, el('td', {}, `${clause.value ? '✓' : '✗'} ${clause.label}`), el('td', {}, clause.now), el('td', {}, clause.since === null ? '–' : moment(clause.since)), el('td', {}, clause.source));
    const head = el('tr', {}, ...['clause', 'now', 'true since', 'seen in'].map((text) => el('th', { scope: 'col' }, text)));
    return el('div', {}, el('h3', {}, 'Landed'), el('table', { class: 'plain' }, el('thead', {}, head), el('tbody', {}, ...clauses.map(row))));
  }
}

function shares(title, list) {
  const rows = Object.entries(list).map(([reason, share]) => [reason, `${some(share.count, 'record')}, ${money(share.cost_usd)}`]);
  return rows.length ? [el('h3', {}, title), facts(rows)] : [];
}

function unresolved(tally) {
  const rows = Object.entries(tally.unresolved_links).map(([reason, value]) => [reason, count(value)]);
  const links = rows.length ? [el('h3', {}, 'Arrows that could not be drawn'), facts(rows)] : [];
  const files = tally.unreadable.length ? [el('h3', {}, 'Could not be read'), el('pre', {}, tally.unreadable.join('\n'))] : [];
  return [...links, ...files];
}

function facts(rows) {
  const list = el('dl', { class: 'facts-list' });
  for (const [name, value] of rows) if (value !== undefined && value !== null && value !== '') list.append(el('dt', {}, name), el('dd', {}, value));
  return list;
}

function section({ title, text, rows }) {
  if (rows?.length) {
    const body = facts(rows);
    if (!title.startsWith('Attributes')) return el('div', {}, el('h3', {}, title), body);
    body.querySelectorAll('dd').forEach((value) => value.classList.add('mono'));
    return el('details', { class: 'fold', open: title === 'Attributes' }, el('summary', {}, `${title} (${rows.length})`), body);
  }
  const copy = el('button', { type: 'button', onclick: () => navigator.clipboard?.writeText(text) }, 'Copy');
  return el('div', {}, el('h3', {}, title, copy), el('pre', { tabindex: '0' }, text ?? ''));
}

function evidence(places) {
  if (!places.length) return null;
  const item = (place) => el('li', {}, el('a', { href: `/files/${place.split('/').map(encodeURIComponent).join('/')}`, target: '_blank', rel: 'noopener' }, place));
  return el('div', {}, el('h3', {}, 'Evidence'), el('ul', { class: 'links' }, ...places.map(item)));
}
