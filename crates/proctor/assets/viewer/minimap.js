// The whole run in small: how much happens when, and which part is in view. Drag to move or to choose a part.

import { ask, Latest } from './api.js';
import * as paint from './paint.js';

const EDGE = 6;

export class Minimap {
  constructor(app) {
    this.app = app;
    this.canvas = document.getElementById('minimap');
    this.latest = new Latest();
    this.levels = [];
    this.canvas.addEventListener('pointerdown', (event) => this.drag(event));
    this.canvas.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  async load() {
    const buckets = Math.max(50, this.canvas.clientWidth >> 1);
    const { start, end } = this.app.picture;
    const answer = await this.latest.of(() => ask('density', { ...this.app.state.filter(), from: start, to: end, buckets }));
    if (!answer) return;
    this.levels = new Array(buckets).fill(0);
    this.errors = new Array(buckets).fill(0);
    for (const lane of answer.lanes) {
      for (const [name, runs] of Object.entries(lane.groups)) {
        const sums = name === 'error' ? this.errors : this.levels;
        for (const [first, size, amount] of runs) for (let bucket = first; bucket < first + size; bucket++) sums[bucket] += amount;
      }
    }
    this.draw();
  }

  x(at) {
    const { start, end } = this.app.picture;
    return (at - start) / (end - start) * this.canvas.clientWidth;
  }

  at(x) {
    const { start, end } = this.app.picture;
    return start + x / this.canvas.clientWidth * (end - start);
  }

  draw() {
    if (!this.app.picture) return;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const color = paint.palette();
    const context = paint.fresh(this.canvas, width, height);
    const most = Math.log(1 + Math.max(1, ...this.levels));
    const step = width / Math.max(1, this.levels.length);
    this.levels.forEach((level, index) => {
      const high = Math.log(1 + level) / most * (height - 8);
      context.fillStyle = color(this.errors[index] ? '--pt-bad' : '--pt-model');
      if (level) context.fillRect(index * step, height - 3 - high, Math.max(1, step - 0.3), high);
    });
    context.fillStyle = color('--pt-held');
    for (const clause of this.app.picture.clauses) if (clause.since !== null) context.fillRect(this.x(clause.since), 0, 1, height);
    this.drawWindow(context, width, height, color);
  }

  drawWindow(context, width, height, color) {
    const view = this.app.timeline.view();
    const [from, to] = [this.x(view.from), this.x(view.to)];
    if (to - from > width - 1) return;
    context.globalAlpha = 0.72;
    context.fillStyle = color('--bg');
    context.fillRect(0, 0, Math.max(0, from), height);
    context.fillRect(to, 0, Math.max(0, width - to), height);
    context.globalAlpha = 1;
    context.strokeStyle = color('--focus');
    context.lineWidth = 1.5;
    context.strokeRect(from + 0.75, 1, Math.max(3, to - from - 1.5), height - 2);
  }

  wheel(event) {
    event.preventDefault();
    this.app.timeline.zoom(Math.exp(event.deltaY * 0.0022));
  }

  /** Inside the frame: moves it; at its edges: resizes it; elsewhere: chooses a new part. */
  drag(down) {
    const view = this.app.timeline.view();
    const [from, to] = [this.x(view.from), this.x(view.to)];
    const x = down.offsetX;
    const whole = to - from > this.canvas.clientWidth - 1;
    let mode = 'choose';
    if (!whole && Math.abs(x - from) < EDGE) mode = 'from';
    else if (!whole && Math.abs(x - to) < EDGE) mode = 'to';
    else if (!whole && x > from && x < to) mode = 'move';
    this.canvas.setPointerCapture(down.pointerId);
    const move = (event) => {
      const [here, there] = [this.at(event.offsetX), this.at(x)];
      if (mode === 'move') this.app.timeline.show(view.from + here - there, view.to + here - there);
      else if (mode === 'from') this.app.timeline.show(Math.min(here, view.to), view.to);
      else if (mode === 'to') this.app.timeline.show(view.from, Math.max(here, view.from));
      else if (Math.abs(event.offsetX - x) > 3) this.app.timeline.show(Math.min(here, there), Math.max(here, there));
    };
    this.canvas.addEventListener('pointermove', move);
    this.canvas.addEventListener('pointerup', () => this.canvas.removeEventListener('pointermove', move), { once: true });
  }
}
