// Waiting for something that can only be looked at.

/** Looks until it is true; fails with the last answer. */
export async function until(what, look, limit = 10_000, pause = 50) {
  const end = Date.now() + limit;
  let last;
  for (;;) {
    last = await look();
    if (last === true) return;
    if (Date.now() > end) throw new Error(`${what}: not so after ${limit / 1000} s${last === undefined || last === false ? '' : ` (${last})`}`);
    await new Promise((go) => { setTimeout(go, pause); });
  }
}

export const pause = (ms) => new Promise((go) => { setTimeout(go, ms); });
