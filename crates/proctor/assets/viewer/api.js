// Questions to the server that this page came from.

/** An answer that is not the one hoped for. */
export class Refused extends Error {}

/** Asks `/api/<name>.json`; parameters that are undefined or null are left out. */
export async function ask(name, parameters = {}, options = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null));
  const text = query.toString();
  const response = await fetch(`/api/${name}.json${text ? `?${text}` : ''}`, options);
  if (response.status === 304) return null;
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(answer.error ?? `${response.status} ${response.statusText}`);
  return answer;
}

/** The run's lanes and phases; null when nothing has changed since `stamp`. */
export function run(stamp) {
  return ask('run', {}, { cache: 'no-store', headers: stamp ? { 'If-None-Match': `"${stamp}"` } : {} });
}

/** Runs questions so that only the newest one's answer counts. */
export class Latest {
  constructor() {
    this.turn = 0;
  }

  /** The answer, or undefined when a newer question was asked meanwhile. */
  async of(question) {
    const turn = ++this.turn;
    const answer = await question();
    return turn === this.turn ? answer : undefined;
  }
}
